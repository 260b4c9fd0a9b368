# What the submodule refuses itself; `keyturn manifest check` says more, and where.

variables {
  manifest = {
    project  = "demo-project"
    location = "global"
    topic    = "secret-events"
    services = { shop = { service_account = "shop@demo-project.iam.gserviceaccount.com", events = "pull" } }
    secrets  = { API_KEY = { used_by = ["shop"] } }
  }
}

run "takes_a_manifest" {
  command = plan

  assert {
    condition     = output.secrets["API_KEY"].users == toset(["shop"])
    error_message = "The secret must be the shop's."
  }
}

run "refuses_one_without_services" {
  command = plan
  variables {
    manifest = { project = "demo-project", location = "global", topic = "secret-events", secrets = {} }
  }
  expect_failures = [var.manifest]
}

run "refuses_a_user_that_is_no_service" {
  command = plan
  variables {
    manifest = {
      project  = "demo-project"
      location = "global"
      topic    = "secret-events"
      services = { shop = { service_account = "shop@demo-project.iam.gserviceaccount.com", events = "pull" } }
      secrets  = { API_KEY = { used_by = ["shopp"] } }
    }
  }
  expect_failures = [var.manifest]
}

run "refuses_a_name_in_place_of_a_list" {
  command = plan
  variables {
    manifest = {
      project  = "demo-project"
      location = "global"
      topic    = "secret-events"
      services = { shop = { service_account = "shop@demo-project.iam.gserviceaccount.com", events = "pull" } }
      secrets  = { API_KEY = { used_by = "shop" } }
    }
  }
  expect_failures = [var.manifest]
}

run "refuses_a_rotation_without_a_rotator" {
  command = plan
  variables {
    manifest = {
      project  = "demo-project"
      location = "global"
      topic    = "secret-events"
      services = { shop = { service_account = "shop@demo-project.iam.gserviceaccount.com", events = "pull" } }
      secrets  = { API_KEY = { used_by = ["shop"], rotation = { rotator = "random" } } }
    }
  }
  expect_failures = [var.manifest]
}

run "refuses_a_rotator_that_uses_what_is_not_there" {
  command = plan
  variables {
    manifest = {
      project  = "demo-project"
      location = "global"
      topic    = "secret-events"
      services = { shop = { service_account = "shop@demo-project.iam.gserviceaccount.com", events = "pull" } }
      rotator  = { service_account = "rotator@demo-project.iam.gserviceaccount.com", push_endpoint = "https://r.example.com" }
      secrets  = { API_KEY = { used_by = ["shop"], rotation = { rotator = "random", uses = ["ADMIN"] } } }
    }
  }
  expect_failures = [var.manifest]
}

run "refuses_a_push_without_an_address" {
  command = plan
  variables {
    manifest = {
      project  = "demo-project"
      location = "global"
      topic    = "secret-events"
      services = { shop = { service_account = "shop@demo-project.iam.gserviceaccount.com" } }
      secrets  = { API_KEY = { used_by = ["shop"] } }
    }
  }
  expect_failures = [var.manifest]
}
