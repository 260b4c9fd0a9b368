# Terraform evaluates a `for_each` again for each instance, so what there is much of stands ready in a local.
locals {
  # By account, since two services may run as one: a right that is given twice would be taken from both at once.
  accessors = merge([
    for id, secret in module.manifest.secrets : {
      for account in toset([for service in secret.users : module.manifest.services[service].service_account]) :
      "${id}/${account}" => { secret = id, account = account }
    }
  ]...)

  accessors_global   = { for key, access in local.accessors : key => access if can(local.global[access.secret]) }
  accessors_regional = { for key, access in local.accessors : key => access if can(local.regional[access.secret]) }

  invoked = var.run_services_exist ? merge([
    for service in concat(values(module.manifest.services), module.manifest.rotator[*]) : {
      "${service.location}/${service.run_service}" = service
    } if service.platform == "cloud-run" && service.push_endpoint != null
  ]...) : {}
}

resource "google_secret_manager_secret_iam_member" "accessor" {
  for_each = local.accessors_global

  project   = local.project
  secret_id = each.value.secret
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:${each.value.account}"

  depends_on = [google_secret_manager_secret.this]
}

resource "google_secret_manager_regional_secret_iam_member" "accessor" {
  for_each = local.accessors_regional

  project   = local.project
  location  = local.regional[each.value.secret].location
  secret_id = each.value.secret
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:${each.value.account}"

  depends_on = [google_secret_manager_regional_secret.this]
}

# Cloud Run lets in who may invoke the service; the service itself looks at the token again.
resource "google_cloud_run_v2_service_iam_member" "pusher" {
  for_each = local.invoked

  project  = local.project
  location = each.value.location
  name     = each.value.run_service
  role     = "roles/run.invoker"
  member   = google_service_account.pusher.member
}
