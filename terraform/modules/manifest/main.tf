# What a manifest means, with everything that it leaves out filled in: the same rules as `receiver.manifest` has, and a
# test that holds the two against each other. It makes nothing, so it needs no provider.

locals {
  project = var.manifest.project
  number  = try(var.manifest.project_number, null)
  seconds = { s = 1, m = 60, h = 3600, d = 86400 }

  # The rotator is reached as services are, at another path.
  reached = merge(
    { for name, service in var.manifest.services : name => merge({ run_service = name, path = "/secrets/events", events = "push" }, service) },
    { for rotator in try([var.manifest.rotator], []) : "(rotator)" => merge({ run_service = "keyturn-rotator", path = "/rotation/events", events = "push" }, rotator) },
  )

  on_cloud_run = { for name, service in local.reached : name => try(service.platform, "other") == "cloud-run" }

  endpoints = {
    for name, service in local.reached : name => service.events == "pull" ? null : try(
      service.push_endpoint,
      local.on_cloud_run[name] && local.number != null ? format("https://%s-%d.%s.run.app%s", service.run_service, local.number, service.location, service.path) : null,
    )
  }

  services = {
    for name, service in local.reached : name => {
      service_account = service.service_account
      platform        = try(service.platform, "other")
      location        = try(service.location, null)
      run_service     = local.on_cloud_run[name] ? service.run_service : null
      events          = service.events
      push_endpoint   = local.endpoints[name]
      # Cloud Run's own check compares the audience with the service's address, without a path.
      audience = local.endpoints[name] == null ? null : try(
        service.audience,
        local.on_cloud_run[name] ? regex("^https?://[^/]+", local.endpoints[name]) : local.endpoints[name],
      )
    }
  }

  secrets = {
    for name, secret in var.manifest.secrets : name => {
      # Existing secrets that say nothing else are global: there were no others.
      location    = try(secret.location, try(secret.existing, false) ? "global" : var.manifest.location)
      existing    = try(secret.existing, false)
      users       = toset(try(tolist(secret.used_by), keys(var.manifest.services))) # checked to be a list, or all
      labels      = try(secret.labels, {})
      annotations = try(secret.annotations, {})
      period      = can(secret.rotation.period) ? tonumber(regex("^([0-9]+)[smhd]$", secret.rotation.period)[0]) * local.seconds[substr(secret.rotation.period, -1, 1)] : null
      next        = try(secret.rotation.next, null)
      uses        = toset(try(tolist(secret.rotation.uses), []))
      # What Secret Manager does by itself is the period; every other key is the rotator's business.
      served = length(setsubtract(try(keys(secret.rotation), []), ["period", "next"])) > 0
      # Whether old versions are ended without being asked, of what is served.
      retired = try(secret.rotation.retire, true)
    }
  }
}
