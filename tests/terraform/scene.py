"""A shop on this machine: its manifest, the root module that sets it up on the local cloud, and its service."""

from tests.service.harness import Service

from .harness import ROOT


PROJECT = "local-project"
WORKERS = 3
MANIFEST = """\
project: local-project
location: europe-west1
topic: secret-events
services:
  shop:
    service_account: shop-service@local-project.iam.gserviceaccount.com
    push_endpoint: http://127.0.0.1:{port}/secrets/events
  worker:
    service_account: worker-service@local-project.iam.gserviceaccount.com
    events: pull
rotator:
  service_account: rotator-service@local-project.iam.gserviceaccount.com
  push_endpoint: http://127.0.0.1:9/rotation/events
secrets:
  API_KEY:
    used_by: [shop]
    location: global
    labels: {{team: pay}}
    rotation: {{period: 1d}}
  REGIONAL_KEY:
    used_by: all
    rotation: {{period: 30d, rotator: random}}
  OLD_KEY:
    used_by: [shop]
    existing: true
  OLD_REGIONAL_KEY:
    used_by: [shop]
    existing: true
    location: europe-west4
"""
ROOT_MODULE = """\
variable "endpoints" {{ type = map(string) }}
variable "protected" {{ default = true }}

provider "google" {{
  pubsub_custom_endpoint                  = var.endpoints.pubsub
  secret_manager_custom_endpoint          = var.endpoints.secrets
  secret_manager_regional_custom_endpoint = var.endpoints.secrets
}}

provider "google-beta" {{}}

module "keyturn" {{
  source              = "{source}/terraform"
  manifest            = "${{path.module}}/secrets.yaml"
  deletion_protection = var.protected
}}

import {{
  for_each = module.keyturn.existing.global
  to       = module.keyturn.google_secret_manager_secret.this[each.key]
  id       = each.value
}}

import {{
  for_each = module.keyturn.existing.regional
  to       = module.keyturn.google_secret_manager_regional_secret.this[each.key]
  id       = each.value
}}
"""


def existing(cloud):
    """Two secrets that were there before: one replicated as somebody chose, with a label, and a regional one."""
    replicas = {"user_managed": {"replicas": [{"location": "us-central1"}]}}
    cloud.secret_manager_client().create_secret(
        parent=f"projects/{PROJECT}",
        secret_id="OLD_KEY",
        secret={"replication": replicas, "labels": {"theirs": "x"}},
    )
    cloud.add_version("OLD_KEY", b"OLD_KEY-1")
    cloud.create_secret("OLD_REGIONAL_KEY", b"OLD_REGIONAL_KEY-1", location="europe-west4")


def laid_out(cloud, port, folder):
    """Write the manifest of a shop at a port, and return the root module's text and variables."""
    (folder / "secrets.yaml").write_text(MANIFEST.format(port=port))
    endpoints = f'{{pubsub = "{cloud.pubsub.rest_url}/v1/", secrets = "{cloud.secret_manager.rest_url}/v1/"}}'
    return ROOT_MODULE.format(source=ROOT), {"TF_VAR_endpoints": endpoints}


def serving(cloud, port, manifest):
    """The shop under gunicorn, at the port that the manifest says."""

    class Shop(Service):
        def server(self):
            self.port = port
            bind = ["--workers", str(self.workers), "--bind", f"127.0.0.1:{port}"]
            return [
                "gunicorn",
                *bind,
                "--graceful-timeout",
                "3",
                "--no-control-socket",
                "tests.terraform.shop:create_app()",
            ]

    return Shop(cloud, workers=WORKERS, env={"SHOP_MANIFEST": str(manifest)})
