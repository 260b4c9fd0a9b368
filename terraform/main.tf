module "manifest" {
  source = "./modules/manifest"

  manifest = yamldecode(file(var.manifest))
}

locals {
  project = module.manifest.project
  topic   = module.manifest.topic
  # Ids of custom roles are the project's, and there may be a manifest for each of several topics.
  suffix = substr(sha1(local.topic), 0, 8)
}

# Google makes these agents when they are first needed, which is too late to give them rights before.
resource "google_project_service_identity" "secret_manager" {
  provider = google-beta

  project = local.project
  service = "secretmanager.googleapis.com"
}

resource "google_project_service_identity" "pubsub" {
  provider = google-beta

  project = local.project
  service = "pubsub.googleapis.com"
}

resource "google_pubsub_topic" "events" {
  project                    = local.project
  name                       = local.topic
  labels                     = var.labels
  message_retention_duration = "${var.retention}s"
}

# The only publisher: what is on the topic is believed, because nobody else can put it there.
resource "google_pubsub_topic_iam_member" "secret_manager" {
  project = local.project
  topic   = google_pubsub_topic.events.name
  role    = "roles/pubsub.publisher"
  member  = google_project_service_identity.secret_manager.member
}

resource "google_service_account" "pusher" {
  project      = local.project
  account_id   = module.manifest.pusher
  display_name = "Signs the pushes of ${local.topic}"
}

# Pub/Sub signs in this account's name; projects since April 2021 allow it for all accounts, older ones for none.
resource "google_service_account_iam_member" "pubsub_signs" {
  service_account_id = google_service_account.pusher.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = google_project_service_identity.pubsub.member
}
