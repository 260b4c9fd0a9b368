locals {
  # Secret Manager has two kinds of secrets, and the provider a resource for each.
  global   = { for id, secret in module.manifest.secrets : id => secret if secret.location == "global" }
  regional = { for id, secret in module.manifest.secrets : id => secret if secret.location != "global" }

  # Where nobody says when the first rotation is due, it is a period from now. What moves it later is not undone.
  next = {
    for id, secret in module.manifest.secrets : id => secret.period == null ? null : coalesce(secret.next, timeadd(plantimestamp(), "${secret.period}s"))
  }
}

resource "google_secret_manager_secret" "this" {
  for_each = local.global

  project             = local.project
  secret_id           = each.key
  labels              = merge(var.labels, each.value.labels)
  annotations         = each.value.annotations
  deletion_protection = var.deletion_protection

  replication {
    auto {}
  }

  topics {
    name = google_pubsub_topic.events.id
  }

  dynamic "rotation" {
    for_each = each.value.period[*]

    content {
      rotation_period    = "${rotation.value}s"
      next_rotation_time = local.next[each.key]
    }
  }

  lifecycle {
    # Rotation moves the first three. Where an imported secret is replicated cannot change, so it stays as it is.
    ignore_changes = [annotations, rotation[0].next_rotation_time, version_aliases, replication]
  }

  # Secret Manager tries to publish before it takes a topic.
  depends_on = [google_pubsub_topic_iam_member.secret_manager]
}

resource "google_secret_manager_regional_secret" "this" {
  for_each = local.regional

  project             = local.project
  location            = each.value.location
  secret_id           = each.key
  labels              = merge(var.labels, each.value.labels)
  annotations         = each.value.annotations
  deletion_protection = var.deletion_protection

  topics {
    name = google_pubsub_topic.events.id
  }

  dynamic "rotation" {
    for_each = each.value.period[*]

    content {
      rotation_period    = "${rotation.value}s"
      next_rotation_time = local.next[each.key]
    }
  }

  lifecycle {
    ignore_changes = [annotations, rotation[0].next_rotation_time, version_aliases]
  }

  depends_on = [google_pubsub_topic_iam_member.secret_manager]
}
