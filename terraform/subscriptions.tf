locals {
  # That it is time to rotate is the rotator's business, and only its.
  pushed = merge(
    {
      for name, service in module.manifest.services : name => {
        endpoint = service.push_endpoint
        audience = service.audience
        filter   = "attributes.eventType != \"SECRET_ROTATE\""
        deadline = 60
      } if service.push_endpoint != null
    },
    {
      for rotator in local.rotator[*] : local.rotations => {
        endpoint = rotator.push_endpoint
        audience = rotator.audience
        filter   = "attributes.eventType = \"SECRET_ROTATE\""
        # A rotation changes a database or asks a provider before it is answered.
        deadline = 600
      }
    },
  )
  # No service can be called this: their names have no underscore.
  rotations = "rotate_events"
}

resource "google_pubsub_subscription" "push" {
  for_each = local.pushed

  project                    = local.project
  name                       = "${local.topic}.${each.key}"
  topic                      = google_pubsub_topic.events.id
  labels                     = var.labels
  ack_deadline_seconds       = each.value.deadline
  message_retention_duration = "604800s"
  filter                     = each.value.filter

  expiration_policy {
    ttl = ""
  }

  push_config {
    push_endpoint = each.value.endpoint

    oidc_token {
      service_account_email = google_service_account.pusher.email
      audience              = each.value.audience
    }
  }

  retry_policy {
    minimum_backoff = "1s"
    maximum_backoff = "600s"
  }

  # With the pauses above a hundred attempts are most of a day: an outage of hours loses nothing.
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters.id
    max_delivery_attempts = 100
  }

  depends_on = [google_service_account_iam_member.pubsub_signs]
}

resource "google_pubsub_topic" "dead_letters" {
  project = local.project
  name    = "${local.topic}.dead_letters"
  labels  = var.labels
}

# Without a subscription what is dead-lettered is lost.
resource "google_pubsub_subscription" "dead_letters" {
  project                    = local.project
  name                       = "${local.topic}.dead_letters"
  topic                      = google_pubsub_topic.dead_letters.id
  labels                     = var.labels
  ack_deadline_seconds       = 60
  message_retention_duration = "604800s"

  expiration_policy {
    ttl = ""
  }
}

# Pub/Sub moves a message itself: it publishes there, and acknowledges here.
resource "google_pubsub_topic_iam_member" "dead_letters" {
  project = local.project
  topic   = google_pubsub_topic.dead_letters.name
  role    = "roles/pubsub.publisher"
  member  = google_project_service_identity.pubsub.member
}

resource "google_pubsub_subscription_iam_member" "dead_letters" {
  for_each = google_pubsub_subscription.push

  project      = local.project
  subscription = each.value.name
  role         = "roles/pubsub.subscriber"
  member       = google_project_service_identity.pubsub.member
}
