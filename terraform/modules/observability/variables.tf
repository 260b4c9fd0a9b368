variable "project" {
  description = "Id of the project in which the services log and the secrets are."
  type        = string
  nullable    = false
}

variable "push_subscriptions" {
  description = "Ids of the services' push subscriptions: the output `subscriptions` of the module."
  type        = map(string)
  nullable    = false
}

variable "dead_letter_subscription" {
  description = "Id of the subscription in which undelivered messages wait: the output of that name."
  type        = string
  nullable    = false
}

variable "resource_type" {
  description = "What the services run on, as Cloud Monitoring calls it: `cloud_run_revision`, `k8s_container`, `gce_instance`."
  type        = string
  default     = "cloud_run_revision"
  nullable    = false
}

variable "notification_channels" {
  description = "Ids of the notification channels that alerts go to; without one they only show in the console."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "runbook" {
  description = "Address of the runbook, which each alert's text leads to; \"\" for none."
  type        = string
  default     = ""
  nullable    = false
}

variable "data_access" {
  description = "Whether Secret Manager logs who reads values (DATA_READ) and names (ADMIN_READ). It replaces what the project says of that service, and each access is an entry of one to two KiB at Cloud Logging's price ($0.50 per GiB after 50 GiB a month, November 2026)."
  type        = bool
  default     = false
  nullable    = false
}

variable "labels" {
  description = "Labels of the alerts."
  type        = map(string)
  default     = {}
  nullable    = false
}
