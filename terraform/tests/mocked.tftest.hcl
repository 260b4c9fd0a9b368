# With mocked providers: runs unchanged, and without credentials, against the real ones too.

mock_provider "google" {
  mock_resource "google_service_account" {
    defaults = {
      email  = "keyturn-push@demo-project.iam.gserviceaccount.com"
      member = "serviceAccount:keyturn-push@demo-project.iam.gserviceaccount.com"
      name   = "projects/demo-project/serviceAccounts/keyturn-push@demo-project.iam.gserviceaccount.com"
    }
  }
  mock_resource "google_pubsub_topic" {
    defaults = {
      id = "projects/demo-project/topics/secret-events"
    }
  }
}

mock_provider "google-beta" {
  mock_resource "google_project_service_identity" {
    defaults = {
      member = "serviceAccount:service-1@gcp-sa-example.iam.gserviceaccount.com"
    }
  }
}

variables {
  manifest = "tests/manifests/small.yaml"
  labels   = { env = "test", team = "none" }
}

run "applies" {
  assert {
    condition     = google_pubsub_subscription.push["shop"].topic == google_pubsub_topic.events.id
    error_message = "The service's subscription must read the topic."
  }

  assert {
    condition     = google_pubsub_subscription.push["shop"].filter == "attributes.eventType != \"SECRET_ROTATE\""
    error_message = "That it is time to rotate is not for services."
  }

  assert {
    condition     = google_secret_manager_secret.this["API_KEY"].labels == tomap({ env = "test", team = "pay" })
    error_message = "A secret's own labels must come before the module's."
  }

  assert {
    condition     = google_secret_manager_regional_secret.this["DB_LOGIN"].rotation[0].rotation_period == "2592000s"
    error_message = "Durations must reach Google in seconds."
  }

  assert {
    condition     = output.rotate_subscription == null && length(output.candidates) == 0
    error_message = "Without a rotator there must be nothing for one."
  }

  assert {
    condition     = output.audiences == { shop = "https://shop.example.com/secrets/events" } && output.pusher == "keyturn-push@demo-project.iam.gserviceaccount.com"
    error_message = "The outputs must say what the service expects of a push."
  }
}

run "protects_secrets" {
  command = plan

  assert {
    condition     = google_secret_manager_secret.this["API_KEY"].deletion_protection && google_secret_manager_regional_secret.this["DB_LOGIN"].deletion_protection
    error_message = "Deleting must be refused unless it is allowed."
  }
}

run "refuses_a_manifest_that_is_not_there" {
  command = plan
  variables {
    manifest = "tests/manifests/none.yaml"
  }
  expect_failures = [var.manifest]
}

run "refuses_a_manifest_that_is_not_yaml" {
  command = plan
  variables {
    manifest = "tests/manifests/broken.yaml"
  }
  expect_failures = [var.manifest]
}

run "refuses_labels_that_google_would" {
  command = plan
  variables {
    labels = { Team = "pay" }
  }
  expect_failures = [var.labels]
}

run "refuses_a_retention_shorter_than_google_may_lag" {
  command = plan
  variables {
    retention = 21599
  }
  expect_failures = [var.retention]
}

run "refuses_a_retention_longer_than_pubsub_keeps" {
  command = plan
  variables {
    retention = 2678401
  }
  expect_failures = [var.retention]
}
