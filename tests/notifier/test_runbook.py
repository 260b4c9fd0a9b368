"""The runbook's commands, as they stand, on the local cloud beside a service that runs: each does what it says."""

import io
import json
import logging
import os
import re
import shlex
import subprocess
import threading
import time
from pathlib import Path

import flask
import pytest
from click.testing import CliRunner
from google.api_core import exceptions
from werkzeug.serving import make_server

from notifier.cli import keyturn
from notifier.local.cloud import SENDER, LocalCloud
from receiver import OIDC, SecretCache, SharedToken, StructuredFormatter, refresh_blueprint
from tests.notifier.gcloud import gcloud


TEXT = (Path(__file__).parents[2] / "docs/runbook.md").read_text()
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
SECTIONS = {
    part.split("\n", 1)[0]: [line for block in BLOCK.findall(part) for line in block.splitlines()]
    for part in TEXT.split("\n## ")[1:]
}
AUDIENCE = "https://payments.example/secrets/events"
TOKEN = "of-the-operators"
WAIT = 15.0


class Scene:
    """The cloud, and the service `payments` with its wiring, as the runbook's first paragraph has it."""

    def __init__(self, cloud, tmp_path, monkeypatch):
        self.cloud, self._path, self._monkeypatch = cloud, tmp_path, monkeypatch
        self._printed, self._taken = io.StringIO(), 0
        self._told = logging.StreamHandler(self._printed)
        self._told.setFormatter(StructuredFormatter(project=cloud.project))
        logging.getLogger("keyturn").addHandler(self._told)
        for name in ("API_KEY", "OLD_KEY"):
            cloud.create_secret(name, b"one", topic="events")
        cloud.create_secret("OPERATOR_TOKEN", TOKEN.encode())
        cloud.create_secret("PROVIDER_KEY", b"first", topic="events")
        cloud.add_version("PROVIDER_KEY", b"backup")
        alias = ["secrets", "update", "PROVIDER_KEY", "--update-version-aliases=live=1"]
        gcloud.main(alias, obj=cloud, standalone_mode=False)
        self._server = None
        self.serve()
        dead = cloud.create_topic("events.dead_letters")
        self.dead_letters = cloud.subscription("events.dead_letters")
        cloud.subscriber().create_subscription(name=self.dead_letters, topic=dead, timeout=5)
        cloud.publisher().publish(dead, b"{}", eventType="SECRET_VERSION_ADD").result(5)
        cloud.push_to(f"{self.url}/secrets/events", topic="events", name="events.payments", audience=AUDIENCE)

    def serve(self):
        """Start the service, again where it runs."""
        self.stop()
        self.cache = cache = SecretCache(self.cloud.project, service="payments", run_dir=str(self._path / "run"))
        self.key = cache.secret("API_KEY")
        self.provider = cache.secret("PROVIDER_KEY", pin="live")
        app = flask.Flask("payments")
        auth = OIDC(audience=AUDIENCE, sender=SENDER)
        operators = SharedToken(cache.secret("OPERATOR_TOKEN"))
        app.register_blueprint(refresh_blueprint(cache, auth=auth, operators=operators))
        cache.load()
        port = self._server.server_port if self._server else 0
        self._server = make_server("127.0.0.1", port, app, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self):
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(WAIT)
            self.cache.close()

    def close(self):
        self.stop()
        logging.getLogger("keyturn").removeHandler(self._told)

    def until(self, condition):
        deadline = time.monotonic() + WAIT
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def run(self, line):
        """Run one line of the runbook; returns its exit status and what it said."""
        environment = {"NEW_VALUE": "two", "SERVICE_URL": self.url, "OPERATOR_TOKEN": TOKEN}
        fed, _, command = line.rpartition(" | ")
        given = environment["NEW_VALUE"] if fed == 'printf %s "$NEW_VALUE"' else None
        assert (given is None) == (not fed)
        text = re.sub(r"\$([A-Z_]+)", lambda found: environment[found[1]], command)
        name, *words = shlex.split(text)
        if name == "export":
            variable, _, value = words[0].partition("=")
            self._monkeypatch.setenv(variable, value)
            self.serve()
            return 0, ""
        if name == "curl":
            done = subprocess.run([name, *words], capture_output=True, text=True, timeout=WAIT, check=False)
            return done.returncode, done.stdout
        if name == "gcloud" and os.environ.get("KEYTURN_GCLOUD"):
            return self._real(words, given)
        self.print()
        printing = threading.Event()
        feeder = threading.Thread(target=self._feed, args=(printing,))
        feeder.start()
        try:
            done = CliRunner().invoke({"keyturn": keyturn, "gcloud": gcloud}[name], words, input=given, obj=self.cloud)
        finally:
            printing.set()
            feeder.join(WAIT)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output

    def _real(self, words, given):
        environment = {
            **os.environ,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER": f"{self.cloud.secret_manager.rest_url}/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB": f"{self.cloud.pubsub.rest_url}/",
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
            "CLOUDSDK_CORE_PROJECT": self.cloud.project,
        }
        done = subprocess.run(
            ["gcloud", *words], input=given, env=environment, capture_output=True, text=True, timeout=90, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def print(self):
        """Hand what the service has printed to Logging."""
        lines = self._printed.getvalue().splitlines()
        new, self._taken = lines[self._taken :], len(lines)
        self.cloud.logging.take_lines(new, service="payments")

    def _feed(self, ended):
        while not ended.wait(0.1):
            self.print()


@pytest.fixture
def scene(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "keyturn")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("notifier.trace.looking._EVERY", 0.1)
    monkeypatch.delenv("KEYTURN_FREEZE", raising=False)
    with LocalCloud() as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        made = Scene(cloud, tmp_path, monkeypatch)
        yield made
        made.close()


def state(scene, secret, number):
    return (
        scene.cloud.secret_manager_client()
        .get_secret_version(name=f"{scene.cloud.secret(secret)}/versions/{number}")
        .state.name
    )


def rotated(scene, _said):
    scene.until(lambda: scene.key.value == "two")
    assert "DISABLED" == state(scene, "API_KEY", 1)


def revoked(scene, said):
    rotated(scene, said)
    assert Path("leak.html").exists()


def switched(scene, _said):
    scene.until(lambda: scene.provider.value == "backup")


def rolled_back(scene, _said):
    scene.until(lambda: scene.key.value == "one")


def looked(scene, said):
    assert ["API_KEY" in text for text in said] == [True] * len(said)


def frozen(scene, _said):
    scene.cloud.add_version("API_KEY", b"two")
    scene.until(lambda: scene.cloud.pubsub.wait_for_pushes(lambda pushes: any(p.acknowledged for p in pushes), 0.1))
    assert "one" == scene.key.value


def added_service(scene, _said):
    found = scene.cloud.subscriber().get_subscription(subscription=scene.cloud.subscription("events.ledger"))
    assert ("https://ledger.example", 60) == (found.push_config.oidc_token.audience, found.ack_deadline_seconds)


def added_secret(scene, _said):
    assert "ENABLED" == state(scene, "NEW_KEY", 1)
    assert "two" == scene.cache.secret("NEW_KEY").value


def taken_out(scene, _said):
    with pytest.raises(exceptions.NotFound):
        scene.cloud.secret_manager_client().get_secret(name=scene.cloud.secret("OLD_KEY"))


def enabled(scene, _said):
    assert "ENABLED" == state(scene, "API_KEY", 1)


def emptied(scene, _said):
    with pytest.raises(exceptions.DeadlineExceeded):
        scene.cloud.subscriber().pull(subscription=scene.dead_letters, max_messages=1, timeout=0.3)


#: What a section leaves behind; of the others it is enough that their commands run.
LEAVES = {
    "Rotate an API key without downtime": rotated,
    "Revoke a leaked key at once": revoked,
    "Switch to a backup provider's key": switched,
    "Roll back": rolled_back,
    "A receiver that does not follow": looked,
    "Force a refresh": looked,
    "Freeze": frozen,
    "Add a service": added_service,
    "Add a secret": added_secret,
    "Messages are in the dead letter": emptied,
    "Take a secret out": taken_out,
    "A version in use is scheduled for destruction": enabled,
}


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_a_section_does_what_it_says(scene, section):
    """Each command runs, a trace that is waited on says that all have it, and afterwards it is as the section says."""
    said = []
    for line in SECTIONS[section]:
        status, output = scene.run(line)
        said.append(output)
        awaited = "--watch" in line or not line.startswith("keyturn trace")
        assert status in ((0,) if awaited else (0, 3)), (line, output)
    assert said
    if section in LEAVES:
        LEAVES[section](scene, said)


def test_a_forced_refresh_says_what_came_of_it(scene):
    """What an operator reads after it, as JSON."""
    _, said = scene.run(SECTIONS["Force a refresh"][0])

    assert "settled" == json.loads(said)["outcome"]
