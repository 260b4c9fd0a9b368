output "alerts" {
  description = "Names of the alert policies, by key."
  value       = { for key, policy in google_monitoring_alert_policy.alert : key => policy.name }
}

output "metrics" {
  description = "Names of the log-based metrics, by key."
  value       = merge({ for key, metric in google_logging_metric.alert : key => metric.name }, { for key, metric in google_logging_metric.figure : key => metric.name })
}
