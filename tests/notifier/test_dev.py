"""`keyturn dev` as a process."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import secretmanager
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcTransport,
)


@contextlib.contextmanager
def dev(*args):
    """Run `keyturn dev` and see to it that it ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "notifier", "dev", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@contextlib.contextmanager
def client(host):
    channel = grpc.insecure_channel(host)
    yield secretmanager.SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))
    channel.close()


def group_is_gone(process):
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_used_and_ended(ending):
    """It prints one line of JSON when it is ready, tells each change without values, and ends cleanly."""
    with dev("--json", "--project", "demo") as process:
        variables = json.loads(process.stdout.readline())
        with client(variables["SECRET_MANAGER_EMULATOR_HOST"]) as secrets:
            secrets.create_secret(parent="projects/demo", secret_id="db", secret={"replication": {"automatic": {}}})
            secrets.add_secret_version(parent="projects/demo/secrets/db", payload={"data": b"canary"})
            read = secrets.access_secret_version(name="projects/demo/secrets/db/versions/latest")
        process.send_signal(ending)
        out, err = process.communicate(timeout=10)

        assert b"canary" == read.payload.data
        assert "demo" == variables["GOOGLE_CLOUD_PROJECT"]
        assert (0, "") == (process.returncode, out)
        assert ["created", "added"] == [line.split()[0] for line in err.splitlines()[1:-1]]
        assert "canary" not in err
        assert group_is_gone(process)


def test_lines_for_a_shell():
    """Without --json it prints lines that a shell can read."""
    with dev() as process:
        lines = [process.stdout.readline() for _ in range(5)]
        process.terminate()
        process.communicate(timeout=10)

    assert ["export"] * 5 == [line.split(" ")[0] for line in lines]
    assert "export GOOGLE_CLOUD_PROJECT=local-project\n" == lines[0]


@pytest.mark.parametrize("option", ["--secret-manager-port", "--pubsub-port", "--keys-port"])
def test_a_port_in_use(option):
    """A port that is in use is told in one line that names the option, with status 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken, dev(option, str(taken.getsockname()[1])) as process:
        out, err = process.communicate(timeout=20)

    assert (2, "", 1) == (process.returncode, out, err.count("\n"))
    assert option in err


def test_nothing_is_kept():
    """A second run on the same port begins empty."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    for _ in range(2):
        with dev("--json", "--secret-manager-port", port) as process:
            host = json.loads(process.stdout.readline())["SECRET_MANAGER_EMULATOR_HOST"]
            with client(host) as secrets:
                with pytest.raises(exceptions.NotFound):
                    secrets.get_secret(name="projects/demo/secrets/db")
                secrets.create_secret(parent="projects/demo", secret_id="db", secret={"replication": {"automatic": {}}})
            process.terminate()
            process.communicate(timeout=10)

            assert 0 == process.returncode
