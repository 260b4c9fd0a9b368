locals {
  own = { for key, metric in google_logging_metric.figure : key => "metric.type = \"logging.googleapis.com/user/${metric.name}\" AND resource.type = \"${var.resource_type}\"" }

  charts = [
    {
      title  = "Refreshes by outcome"
      filter = local.own.refreshes
      by     = ["metric.label.outcome"]
      align  = "ALIGN_SUM"
      reduce = "REDUCE_SUM"
    },
    {
      title  = "Propagation, median, ms"
      filter = local.own.propagation
      by     = ["metric.label.service"]
      align  = "ALIGN_DELTA"
      reduce = "REDUCE_PERCENTILE_50"
    },
    {
      title  = "Propagation, 99th percentile, ms"
      filter = local.own.propagation
      by     = ["metric.label.service"]
      align  = "ALIGN_DELTA"
      reduce = "REDUCE_PERCENTILE_99"
    },
    {
      title  = "Versions taken, by service"
      filter = local.own.refreshes
      by     = ["metric.label.service", "metric.label.version"]
      align  = "ALIGN_SUM"
      reduce = "REDUCE_SUM"
    },
    {
      title  = "Messages that wait"
      filter = "metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.type = \"pubsub_subscription\""
      by     = ["resource.label.subscription_id"]
      align  = "ALIGN_MAX"
      reduce = "REDUCE_MAX"
    },
  ]
}

resource "google_monitoring_dashboard" "rotation" {
  project = var.project

  dashboard_json = jsonencode({
    displayName = "Secrets that turn over"
    gridLayout = {
      columns = 2
      widgets = concat(
        [{
          title = "Hot reloads that succeeded"
          scorecard = {
            timeSeriesQuery = {
              timeSeriesFilterRatio = {
                numerator = {
                  filter      = "${local.own.refreshes} AND metric.label.outcome = one_of(\"loaded\", \"refreshed\", \"stepped_back\", \"backstop_found\")"
                  aggregation = { alignmentPeriod = "3600s", perSeriesAligner = "ALIGN_SUM", crossSeriesReducer = "REDUCE_SUM" }
                }
                denominator = {
                  filter      = local.own.refreshes
                  aggregation = { alignmentPeriod = "3600s", perSeriesAligner = "ALIGN_SUM", crossSeriesReducer = "REDUCE_SUM" }
                }
              }
            }
          }
        }],
        [for chart in local.charts : {
          title = chart.title
          xyChart = {
            dataSets = [{
              plotType = "LINE"
              timeSeriesQuery = {
                timeSeriesFilter = {
                  filter = chart.filter
                  aggregation = {
                    alignmentPeriod    = "300s"
                    perSeriesAligner   = chart.align
                    crossSeriesReducer = chart.reduce
                    groupByFields      = chart.by
                  }
                }
              }
            }]
          }
        }],
      )
    }
  })
}
