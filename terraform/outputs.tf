output "topic" {
  description = "Id of the topic on which Secret Manager announces changes."
  value       = google_pubsub_topic.events.id
}

output "subscriptions" {
  description = "Ids of the push subscriptions, by service."
  value       = { for name, subscription in google_pubsub_subscription.push : name => subscription.id if name != local.rotations }
}

output "rotate_subscription" {
  description = "Id of the rotator's subscription; null where there is no rotator."
  value       = try(google_pubsub_subscription.push[local.rotations].id, null)
}

output "dead_letter_topic" {
  description = "Id of the topic that takes what could not be delivered."
  value       = google_pubsub_topic.dead_letters.id
}

output "dead_letter_subscription" {
  description = "Id of the subscription in which undelivered messages wait for somebody to look."
  value       = google_pubsub_subscription.dead_letters.id
}

output "pusher" {
  description = "E-mail address of the account that signs pushes: the `sender` that services expect."
  value       = google_service_account.pusher.email
}

output "audiences" {
  description = "The `audience` of the pushes to each service, by service."
  value       = { for name, service in local.pushed : name => service.audience }
}

output "secrets" {
  description = "Resource ids of the secrets, by id."
  value       = merge({ for id, secret in google_secret_manager_secret.this : id => secret.id }, { for id, secret in google_secret_manager_regional_secret.this : id => secret.id })
}

output "candidates" {
  description = "Resource ids of the secrets in which candidates are born, by the id of the secret that they are for."
  value       = merge({ for id, secret in google_secret_manager_secret.candidate : id => secret.id }, { for id, secret in google_secret_manager_regional_secret.candidate : id => secret.id })
}

output "existing" {
  description = "What the `import` blocks of a root module are made of: ids of secrets that exist already, `global` and `regional`, by secret."
  value = {
    global   = { for id, secret in local.global : id => "projects/${local.project}/secrets/${id}" if secret.existing }
    regional = { for id, secret in local.regional : id => "projects/${local.project}/locations/${secret.location}/secrets/${id}" if secret.existing }
  }
}
