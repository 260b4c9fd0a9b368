# Two services and a rotator on GKE, their Kubernetes service accounts bound to Google's by Workload Identity.

provider "google" {
  project = local.project
}

provider "google-beta" {
  project = local.project
}

locals {
  project  = yamldecode(file("${path.module}/secrets.yaml")).project
  accounts = toset(["api", "rotator", "worker"])
}

resource "google_service_account" "this" {
  for_each = local.accounts

  account_id = "${each.key}-service"
}

# Who runs as the Kubernetes service account of that name in the namespace `default` runs as Google's.
resource "google_service_account_iam_member" "workload_identity" {
  for_each = google_service_account.this

  service_account_id = each.value.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${local.project}.svc.id.goog[default/${each.key}]"
}

module "keyturn" {
  source = "../.."

  manifest = "${path.module}/secrets.yaml"
  labels   = { team = "platform" }

  depends_on = [google_service_account.this]
}

output "push" {
  description = "What the service behind the ingress expects of a push: the arguments of `OIDC`."
  value       = { audience = module.keyturn.audiences["api"], sender = module.keyturn.pusher }
}
