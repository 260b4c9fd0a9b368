locals {
  told    = yamldecode(file("${path.module}/alerts.yaml"))
  counted = { for key, alert in local.told.alerts : key => alert if can(alert.filter) }
  metered = { for key, alert in local.told.alerts : key => alert if can(alert.metric) }

  subscriptions = {
    push         = values(var.push_subscriptions)
    dead_letters = [var.dead_letter_subscription]
  }

  # As Monitoring's own filters say it: of a subscription its short name.
  metered_filters = {
    for key, alert in local.metered : key => format(
      "metric.type = \"%s\" AND resource.type = \"pubsub_subscription\" AND (%s)",
      alert.metric,
      join(" OR ", [
        for id in local.subscriptions[alert.of] : format("resource.labels.subscription_id = \"%s\"", element(split("/", id), length(split("/", id)) - 1))
      ]),
    )
  }

  counted_filters = {
    for key, alert in local.counted : key => format(
      "metric.type = \"logging.googleapis.com/user/%s\" AND resource.type = \"%s\"",
      google_logging_metric.alert[key].name,
      try(alert.resource, var.resource_type),
    )
  }

  # GitHub's way to make anchors of headings, which most others share.
  texts = {
    for key, alert in local.told.alerts : key => join("\n\n", compact([
      alert.means,
      var.runbook == "" ? "What to do: `docs/runbook.md`, \"${alert.title}\"." : "What to do: ${var.runbook}#${replace(lower(replace(alert.title, "/[^A-Za-z0-9 -]/", "")), " ", "-")}",
    ]))
  }
}

resource "google_logging_metric" "alert" {
  for_each = local.counted

  project     = var.project
  name        = "keyturn/${each.key}"
  description = each.value.means
  filter      = each.value.filter

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"

    labels {
      key        = "service"
      value_type = "STRING"
    }

    labels {
      key        = "secret"
      value_type = "STRING"
    }
  }

  label_extractors = {
    service = "EXTRACT(jsonPayload.service)"
    secret  = "EXTRACT(jsonPayload.secret)"
  }
}

resource "google_logging_metric" "figure" {
  for_each = local.told.figures

  project         = var.project
  name            = "keyturn/${each.key}"
  filter          = each.value.filter
  value_extractor = try("EXTRACT(${each.value.value})", null)

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = can(each.value.value) ? "DISTRIBUTION" : "INT64"
    unit        = can(each.value.value) ? "ms" : "1"

    dynamic "labels" {
      for_each = each.value.labels

      content {
        key        = labels.key
        value_type = "STRING"
      }
    }
  }

  label_extractors = { for label, path in each.value.labels : label => "EXTRACT(${path})" }

  dynamic "bucket_options" {
    for_each = can(each.value.value) ? [1] : []

    content {
      exponential_buckets {
        num_finite_buckets = 40
        growth_factor      = 1.5
        scale              = 1
      }
    }
  }
}

resource "google_monitoring_alert_policy" "alert" {
  for_each = local.told.alerts

  project               = var.project
  display_name          = each.value.title
  combiner              = "OR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = each.value.title

    condition_threshold {
      filter          = try(local.counted_filters[each.key], local.metered_filters[each.key])
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.more_than
      # Entries are summed up over the time; a gauge has to stay above for it.
      duration = can(each.value.metric) ? "${each.value.seconds}s" : "0s"

      aggregations {
        alignment_period     = can(each.value.metric) ? "60s" : "${each.value.seconds}s"
        per_series_aligner   = can(each.value.metric) ? "ALIGN_MAX" : "ALIGN_SUM"
        cross_series_reducer = can(each.value.metric) ? "REDUCE_MAX" : "REDUCE_SUM"
      }

      trigger {
        count = 1
      }
    }
  }

  documentation {
    content   = local.texts[each.key]
    mime_type = "text/markdown"
  }
}

# It speaks for the whole service in this project, so it is a choice of its own.
resource "google_project_iam_audit_config" "secret_manager" {
  count = var.data_access ? 1 : 0

  project = var.project
  service = "secretmanager.googleapis.com"

  audit_log_config {
    log_type = "DATA_READ"
  }

  audit_log_config {
    log_type = "ADMIN_READ"
  }
}
