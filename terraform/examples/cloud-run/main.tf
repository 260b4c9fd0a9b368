# One service on Cloud Run. Before the service is first deployed: terraform apply -var run_services_exist=false

provider "google" {
  project = local.project
}

provider "google-beta" {
  project = local.project
}

locals {
  project = yamldecode(file("${path.module}/secrets.yaml")).project
}

variable "run_services_exist" {
  description = "Whether the service has been deployed."
  type        = bool
  default     = true
}

resource "google_service_account" "shop" {
  account_id   = "shop-service"
  display_name = "The shop"
}

module "keyturn" {
  source = "../.."

  manifest           = "${path.module}/secrets.yaml"
  run_services_exist = var.run_services_exist

  # A right is given to an account that exists.
  depends_on = [google_service_account.shop]
}

output "push" {
  description = "What the service expects of a push: the arguments of `OIDC`."
  value       = { audience = module.keyturn.audiences["shop"], sender = module.keyturn.pusher }
}
