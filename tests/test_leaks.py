"""Promise 8, silent: a canary value goes through every path, and appears nowhere but in `value` and `held.value`."""

import copy
import io
import json
import logging
import pickle
import traceback
from pathlib import Path

import flask
import grpc
import pytest

from notifier.local.cloud import LocalCloud
from receiver import Insecure, SecretCache, SecretUnavailable, refresh_blueprint
from receiver.secret_manager import SecretManagerSource


pytestmark = pytest.mark.promise("silent")

#: In every value that the test makes; the second spelling is what JSON and bytes reprs would show of it.
CANARY = "canary-7f3a"


@pytest.fixture
def heard(monkeypatch):
    """All that is logged, by anybody, at any level, with its fields and tracebacks."""
    stream = io.StringIO()

    class Everything(logging.Handler):
        def emit(self, record):
            stream.write(f"{record.getMessage()} {vars(record)}\n")
            if record.exc_info:
                stream.write("".join(traceback.format_exception(*record.exc_info)))

    handler = Everything(logging.DEBUG)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def cloud(monkeypatch):
    with LocalCloud() as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def cache(cloud, tmp_path):
    made = SecretCache(cloud.project, run_dir=str(tmp_path / "run"))
    yield made
    made.close()


def event(cloud, path, kind, number):
    secret = cloud.secret_manager.log.calls()[0].secret.rpartition("/")[0] + "/" + path.rpartition("/")[2]
    attributes = {
        "eventType": kind,
        "dataFormat": "JSON_API_V1",
        "secretId": secret,
        "versionId": f"{secret}/versions/{number}",
        "timestamp": f"2030-01-01T00:00:{number:02}Z",
    }
    message = {"attributes": attributes, "messageId": str(number), "publishTime": "2030-01-01T00:01:00Z"}
    return json.dumps({"message": message})


def test_a_value_appears_nowhere(cloud, cache, heard, tmp_path):
    """Loads, refreshes, refusals, rejected and damaged payloads: no log, repr, answer, file or error shows a value."""
    text = cloud.create_secret("TEXT", f"{CANARY}-1".encode())
    settings = cloud.create_secret("SETTINGS", json.dumps({"key": f"{CANARY}-1"}).encode())
    handles = [cache.secret("TEXT"), cache.secret("SETTINGS", type="json"), cache.secret("TEXT", type="bytes")]
    app = flask.Flask(__name__)
    app.register_blueprint(refresh_blueprint(cache, auth=Insecure("a test of what is said")))
    client = app.test_client()
    seen = [repr(handle) for handle in handles]
    cache.load()
    answers = []

    def push(path, kind, number):
        answers.append(client.post("/secrets/events", data=event(cloud, path, kind, number)))

    cloud.add_version(text, f"{CANARY}-2".encode())
    push(text, "SECRET_VERSION_ADD", 2)
    cloud.add_version(settings, f'{{"key": "{CANARY}-2", broken'.encode())
    push(settings, "SECRET_VERSION_ADD", 2)
    cloud.add_version(text, f"{CANARY}-3".encode() + b"\xff")
    push(text, "SECRET_VERSION_ADD", 3)
    cloud.secret_manager.fail_accesses(text, times=2, code=grpc.StatusCode.PERMISSION_DENIED, message=CANARY)
    cloud.add_version(text, f"{CANARY}-4".encode())
    push(text, "SECRET_VERSION_ADD", 4)
    cloud.secret_manager.disable_version(text, 2)
    push(text, "SECRET_VERSION_DISABLE", 2)

    for handle in handles:
        for thing in (handle, handle.held, copy.copy(handle), copy.deepcopy(handle.held), cache):
            seen += [repr(thing), str(thing), f"{thing}"]
        for thing in (handle, handle.held):
            with pytest.raises(TypeError) as refused:
                pickle.dumps(thing)
            seen.append(str(refused.value))
    seen += [str(answer.status) + str(answer.headers) + answer.text for answer in answers]
    seen += [path.read_text(errors="replace") for path in Path(tmp_path).rglob("*.json")]
    seen.append(heard.getvalue())

    assert CANARY in handles[0].value
    assert len(answers) == len([answer for answer in answers if answer.status_code == 204])
    assert "held_back" in heard.getvalue()
    assert [] == [line for text in seen for line in text.splitlines() if CANARY in line]


def test_a_failing_load_tells_no_value(cloud, cache, heard):
    """The error of a load that failed on what the payloads are, and its causes and contexts, show none of them."""
    cloud.create_secret("SETTINGS", f'{{"key": "{CANARY}'.encode())
    cloud.create_secret("TEXT", CANARY.encode() + b"\xff")
    cache.secret("SETTINGS", type="json")
    cache.secret("TEXT")

    with pytest.raises(SecretUnavailable) as failed:
        cache.load()

    told = "".join(traceback.TracebackException.from_exception(failed.value, capture_locals=True).format())
    assert "SETTINGS" in str(failed.value)
    assert CANARY not in told + heard.getvalue()


def test_a_source_shows_no_value(cloud):
    """A payload's repr shows the version and not its bytes."""
    cloud.create_secret("TEXT", CANARY.encode())
    source = SecretManagerSource()
    handle = SecretCache(cloud.project, source=source)

    payload = source.access(handle.secret("TEXT").name, "latest", timeout=5)
    source.close()

    assert CANARY.encode() == payload.data
    assert CANARY not in repr(payload) + str(payload)
