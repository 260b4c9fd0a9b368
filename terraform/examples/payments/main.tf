# A platform that has its 57 secrets and 16 services already: nothing is made anew or replaced. Each secret is taken in
# by an `import` block, and gets its topic and its readers.

provider "google" {
  project = local.project
}

provider "google-beta" {
  project = local.project
}

locals {
  # The manifest of the platform stands where its services find it too.
  manifest = "${path.module}/../../../examples/payments/secrets.yaml"
  project  = yamldecode(file(local.manifest)).project
}

module "keyturn" {
  source = "../.."

  manifest = local.manifest
}

import {
  for_each = module.keyturn.existing.global

  to = module.keyturn.google_secret_manager_secret.this[each.key]
  id = each.value
}

import {
  for_each = module.keyturn.existing.regional

  to = module.keyturn.google_secret_manager_regional_secret.this[each.key]
  id = each.value
}

output "subscriptions" {
  description = "The push subscriptions, by service."
  value       = module.keyturn.subscriptions
}
