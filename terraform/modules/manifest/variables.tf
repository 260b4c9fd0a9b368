variable "manifest" {
  description = "The manifest as `yamldecode` reads it."
  type        = any
  nullable    = false

  validation {
    condition = alltrue([
      for key in ["project", "location", "topic", "services", "secrets"] : can(var.manifest[key])
    ])
    error_message = "A manifest has project, location, topic, services and secrets; see what is wrong with `keyturn manifest check FILE`."
  }

  # A single name in place of a list must not be taken for all.
  validation {
    condition = alltrue([
      for secret in try(var.manifest.secrets, {}) : try(secret.used_by == "all", false) || can(tolist(secret.used_by))
    ])
    error_message = "A secret's used_by is a list of services, or the word all; see which with `keyturn manifest check FILE`."
  }

  validation {
    condition = alltrue([
      for secret in try(var.manifest.secrets, {}) : alltrue([
        for service in try(tolist(secret.used_by), []) : contains(keys(var.manifest.services), service)
      ])
    ])
    error_message = "A secret is used by a service that the manifest does not have; see which with `keyturn manifest check FILE`."
  }

  validation {
    condition = alltrue([
      for secret in try(var.manifest.secrets, {}) : alltrue([
        for used in try(tolist(secret.rotation.uses), []) : contains(keys(var.manifest.secrets), used)
      ])
    ])
    error_message = "A rotator uses a secret that the manifest does not have; see which with `keyturn manifest check FILE`."
  }

  validation {
    condition = can(var.manifest.rotator) || alltrue([
      for secret in try(var.manifest.secrets, {}) : length(setsubtract(try(keys(secret.rotation), []), ["period", "next"])) == 0
    ])
    error_message = "A secret needs the rotator, and the manifest does not say which service account it runs as; see `keyturn manifest check FILE`."
  }
  validation {
    condition = alltrue([
      for service in concat(values(try(var.manifest.services, {})), try([var.manifest.rotator], [])) :
      try(service.events, "push") == "pull" || can(service.push_endpoint) || (try(service.platform, "other") == "cloud-run" && can(var.manifest.project_number))
    ])
    error_message = "A service hears by push, and where it is pushed to is not known; see which with `keyturn manifest check FILE`."
  }
}
