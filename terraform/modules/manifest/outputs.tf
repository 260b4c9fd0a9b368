output "project" {
  description = "Id of the project."
  value       = local.project
}

output "topic" {
  description = "Id of the topic on which Secret Manager announces changes."
  value       = var.manifest.topic
}

output "pusher" {
  description = "Id of the service account that signs pushes."
  value       = try(var.manifest.pusher, "keyturn-push")
}

output "services" {
  description = "Services by name: account, platform, Cloud Run service and region, how they hear, endpoint and audience."
  value       = { for name, service in local.services : name => service if name != "(rotator)" }
}

output "rotator" {
  description = "The rotator, in the form of a service; null where there is none."
  value       = try(local.services["(rotator)"], null)
}

output "secrets" {
  description = "Secrets by id: location, users, labels, annotations, period in seconds, whether they exist already, whether the rotator serves them and what it reads for that."
  value       = local.secrets
}
