"""`make demo-terraform`: the module applied to a local cloud, and a service that starts from the same manifest."""

import socket
import sys
import tempfile
import time
from pathlib import Path

import pytest

from notifier.local.cloud import LocalCloud

from .harness import Terraform, installed
from .scene import PROJECT, WORKERS, existing, laid_out, serving


def main():
    """Run it, and say what was seen; the exit status is 0 only where everything was."""
    try:
        mirror = installed("8.7")
    except pytest.skip.Exception as reason:
        sys.exit(f"demo-terraform: {reason}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with LocalCloud(project=PROJECT) as cloud, tempfile.TemporaryDirectory(prefix="keyturn-terraform-") as name:
        existing(cloud)
        folder = Path(name)
        text, variables = laid_out(cloud, port, folder)
        (folder / "main.tf").write_text(text)
        shop(cloud, Terraform(folder, TF_CLI_CONFIG_FILE=str(mirror / "terraform.rc"), **variables), port, folder)


def shop(cloud, terraform, port, folder):
    """From nothing to a new value in every worker, and back to nothing."""
    terraform("init")
    tell("terraform apply", _counted(terraform("apply", "-auto-approve"), "Apply complete!"))
    for name, location in (("API_KEY", ""), ("REGIONAL_KEY", "europe-west1")):
        cloud.add_version(name, f"{name}-1".encode(), location=location)
    with serving(cloud, port, folder / "secrets.yaml") as service:
        service.all_serve("API_KEY", 1)
        tell("a service starts", f"gunicorn with {WORKERS} workers, from the same secrets.yaml: API_KEY version 1")
        began = time.monotonic()
        cloud.add_version("API_KEY", b"API_KEY-2")
        subscription = cloud.subscription("secret-events.shop")
        service.wait_until(lambda: cloud.pubsub.undelivered(subscription) == 0, "the push is answered")
        took = time.monotonic() - began
        service.all_serve("API_KEY", 2)
        tell("a version is added", f"every worker serves version 2; acknowledged after {took * 1000:.0f} ms")
    assert "No changes" in terraform("plan")
    tell("terraform plan", "No changes.")
    terraform("apply", "-auto-approve", "-var", "protected=false")
    said = terraform("destroy", "-auto-approve", "-var", "protected=false")
    left = [*cloud.publisher().list_topics(project=f"projects/{PROJECT}")]
    left += cloud.secret_manager_client().list_secrets(parent=f"projects/{PROJECT}")
    assert not left, left
    tell("terraform destroy", f"{_counted(said, 'Destroy complete!')} Nothing is left.")


def tell(what, said):
    """One line for people."""
    print(f"{what:<20} {said}", flush=True)


def _counted(said, begins):
    return said[said.index(begins) :].partition(". ")[0].removeprefix(begins).strip().removesuffix(".") + "."


if __name__ == "__main__":
    main()
