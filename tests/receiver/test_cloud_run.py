"""A service behind Cloud Run's invoker check, from the secret's new version to its value."""

import logging
import threading

import flask
import pytest
from werkzeug.serving import make_server

from notifier.local.cloud import SENDER, LocalCloud
from receiver import OIDC, CloudRunIAM, ConfigurationError, SecretCache, refresh_blueprint


pytestmark = pytest.mark.promise("only the sender")

AUDIENCE = "https://db.example/secrets/events"
EXPECTED = {"audience": AUDIENCE, "sender": SENDER}


@pytest.fixture
def cloud(monkeypatch):
    with LocalCloud() as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        running.create_secret("API_KEY", b"first", topic="news")
        yield running


@pytest.fixture
def cache(cloud, tmp_path):
    made = SecretCache(cloud.project, run_dir=str(tmp_path / "run"))
    yield made
    made.close()


@pytest.fixture
def serving(cache):
    """Serve the push route on loopback; returns its URL."""
    servers = []

    def start(auth):
        app = flask.Flask(__name__)
        app.register_blueprint(refresh_blueprint(cache, auth=auth))
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/secrets/events"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def answers(cloud, wanted):
    """The statuses of pushes, once there is one of `wanted`."""
    assert cloud.pubsub.wait_for_pushes(lambda pushes: any(push.status in wanted for push in pushes), 10)
    return {push.status for push in cloud.pubsub.pushes()}


def test_a_push_through_cloud_run(cloud, cache, serving, monkeypatch):
    """A push whose token Cloud Run has verified and stripped brings the new version in."""
    monkeypatch.setenv("K_SERVICE", "db")
    secret = cache.secret("API_KEY")
    cache.load()
    cloud.push_to(
        serving(CloudRunIAM(**EXPECTED)), topic="news", audience=AUDIENCE, backoff=(0.1, 0.2), strip_signature=True
    )
    cloud.add_version("API_KEY", b"second")

    assert {204} == answers(cloud, {204})
    assert ("second", 2) == (secret.value, secret.version)


def test_oidc_behind_cloud_run_says_what_to_do(cloud, cache, serving, caplog):
    """With OIDC in the same place the push is refused, and the log says which choice is missing."""
    secret = cache.secret("API_KEY")
    cache.load()
    cloud.push_to(serving(OIDC(**EXPECTED)), topic="news", audience=AUDIENCE, backoff=(0.1, 0.2), strip_signature=True)
    cloud.add_version("API_KEY", b"second")

    assert {401} == answers(cloud, {401})
    assert "first" == secret.value
    assert any(
        record.levelno == logging.ERROR and "CloudRunIAM" in record.getMessage() for record in list(caplog.records)
    )


def test_the_route_is_not_made_elsewhere(cache, monkeypatch):
    """Outside of Cloud Run an application with this choice does not start."""
    monkeypatch.delenv("K_SERVICE", raising=False)

    with pytest.raises(ConfigurationError, match="use OIDC"):
        refresh_blueprint(cache, auth=CloudRunIAM(**EXPECTED))
