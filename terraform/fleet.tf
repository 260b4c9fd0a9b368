locals {
  # Accounts of services whose instances listen themselves, each on a subscription that it makes and deletes.
  listeners = toset([for service in module.manifest.services : service.service_account if service.events != "push"])
  fleet     = length(local.listeners) > 0 ? toset(["this"]) : toset([])
}

# A subscription is made in the project, and Pub/Sub knows no conditions, so this much is the whole project's. It is
# exactly what an instance does with its own subscription, and cannot touch a topic.
resource "google_project_iam_custom_role" "fleet" {
  for_each = local.fleet

  project     = local.project
  role_id     = "keyturn.fleet.${local.suffix}"
  title       = "keyturn: instances that listen to ${local.topic}"
  description = "Make, read, change and delete a subscription of one's own."
  permissions = [
    "pubsub.subscriptions.consume",
    "pubsub.subscriptions.create",
    "pubsub.subscriptions.delete",
    "pubsub.subscriptions.get",
    "pubsub.subscriptions.list",
    "pubsub.subscriptions.update",
  ]
}

resource "google_project_iam_custom_role" "fleet_topic" {
  for_each = local.fleet

  project     = local.project
  role_id     = "keyturn.fleetTopic.${local.suffix}"
  title       = "keyturn: attach to ${local.topic}"
  description = "Attach a subscription of one's own to the topic."
  permissions = ["pubsub.topics.attachSubscription"]
}

resource "google_project_iam_member" "fleet" {
  for_each = local.listeners

  project = local.project
  role    = google_project_iam_custom_role.fleet["this"].id
  member  = "serviceAccount:${each.key}"
}

resource "google_pubsub_topic_iam_member" "fleet" {
  for_each = local.listeners

  project = local.project
  topic   = google_pubsub_topic.events.name
  role    = google_project_iam_custom_role.fleet_topic["this"].id
  member  = "serviceAccount:${each.key}"
}
