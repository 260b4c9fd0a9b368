locals {
  rotator = module.manifest.rotator
  rotates = toset(local.rotator == null ? [] : ["this"])

  served = { for id, secret in module.manifest.secrets : id => secret if secret.served }
  # A candidate must not be seen by who reads `latest` before it works, and every version is enabled when it is born: so
  # it is born beside its secret, where the rotator alone may read, and nothing is announced.
  candidates_global   = { for id, secret in local.served : id => secret if secret.location == "global" }
  candidates_regional = { for id, secret in local.served : id => secret if secret.location != "global" }
  # What a rotator reads to do its work, such as an administrator's password.
  needed = toset(flatten([for secret in local.served : tolist(secret.uses)]))
  # An old version is ended where the entries of the log show that nobody holds it.
  looks = length(local.rotates) > 0 && anytrue([for secret in local.served : secret.retired]) ? toset(["this"]) : toset([])
}

resource "google_secret_manager_secret" "candidate" {
  for_each = local.candidates_global

  project             = local.project
  secret_id           = "${each.key}-candidate"
  labels              = merge(var.labels, each.value.labels)
  deletion_protection = var.deletion_protection

  replication {
    auto {}
  }

  lifecycle {
    # The rotator keeps there how far it has come.
    ignore_changes = [annotations]
  }
}

resource "google_secret_manager_regional_secret" "candidate" {
  for_each = local.candidates_regional

  project             = local.project
  location            = each.value.location
  secret_id           = "${each.key}-candidate"
  labels              = merge(var.labels, each.value.labels)
  deletion_protection = var.deletion_protection

  lifecycle {
    ignore_changes = [annotations]
  }
}

resource "google_project_iam_custom_role" "rotator" {
  for_each = local.rotates

  project     = local.project
  role_id     = "keyturn.rotator.${local.suffix}"
  title       = "keyturn: rotate a secret of ${local.topic}"
  description = "Add versions to a secret, read them, and end old ones."
  permissions = [
    "secretmanager.secrets.get",
    "secretmanager.versions.access",
    "secretmanager.versions.add",
    "secretmanager.versions.destroy",
    "secretmanager.versions.disable",
    "secretmanager.versions.enable",
    "secretmanager.versions.list",
  ]
}

resource "google_project_iam_custom_role" "candidates" {
  for_each = local.rotates

  project     = local.project
  role_id     = "keyturn.candidates.${local.suffix}"
  title       = "keyturn: keep the candidates of ${local.topic}"
  description = "Add, read and destroy candidates, and note in annotations how far a rotation has come."
  permissions = [
    "secretmanager.secrets.get",
    "secretmanager.secrets.update",
    "secretmanager.versions.access",
    "secretmanager.versions.add",
    "secretmanager.versions.destroy",
    "secretmanager.versions.list",
  ]
}

# Cloud Logging is read by project. This reads neither Data Access logs, nor anything else of Logging.
resource "google_project_iam_custom_role" "logs" {
  for_each = local.looks

  project     = local.project
  role_id     = "keyturn.logs.${local.suffix}"
  title       = "keyturn: who serves what of ${local.topic}"
  description = "Read log entries, which say who still holds an old version."
  permissions = ["logging.logEntries.list"]
}

resource "google_project_iam_member" "logs" {
  for_each = local.looks

  project = local.project
  role    = google_project_iam_custom_role.logs["this"].id
  member  = "serviceAccount:${local.rotator.service_account}"
}

resource "google_secret_manager_secret_iam_member" "rotator" {
  for_each = local.candidates_global

  project   = local.project
  secret_id = google_secret_manager_secret.this[each.key].secret_id
  role      = google_project_iam_custom_role.rotator["this"].id
  member    = "serviceAccount:${local.rotator.service_account}"
}

resource "google_secret_manager_regional_secret_iam_member" "rotator" {
  for_each = local.candidates_regional

  project   = local.project
  location  = each.value.location
  secret_id = google_secret_manager_regional_secret.this[each.key].secret_id
  role      = google_project_iam_custom_role.rotator["this"].id
  member    = "serviceAccount:${local.rotator.service_account}"
}

resource "google_secret_manager_secret_iam_member" "candidate" {
  for_each = google_secret_manager_secret.candidate

  project   = local.project
  secret_id = each.value.secret_id
  role      = google_project_iam_custom_role.candidates["this"].id
  member    = "serviceAccount:${local.rotator.service_account}"
}

resource "google_secret_manager_regional_secret_iam_member" "candidate" {
  for_each = google_secret_manager_regional_secret.candidate

  project   = local.project
  location  = each.value.location
  secret_id = each.value.secret_id
  role      = google_project_iam_custom_role.candidates["this"].id
  member    = "serviceAccount:${local.rotator.service_account}"
}

resource "google_secret_manager_secret_iam_member" "needed" {
  for_each = setintersection(local.needed, keys(local.global))

  project   = local.project
  secret_id = google_secret_manager_secret.this[each.key].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:${local.rotator.service_account}"
}

resource "google_secret_manager_regional_secret_iam_member" "needed" {
  for_each = setintersection(local.needed, keys(local.regional))

  project   = local.project
  location  = local.regional[each.key].location
  secret_id = google_secret_manager_regional_secret.this[each.key].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:${local.rotator.service_account}"
}
