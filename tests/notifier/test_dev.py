"""`keyturn dev` as a process."""

import contextlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner
from google.api_core import exceptions
from google.cloud import secretmanager
from google.cloud.logging_v2.types import LogEntry
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcTransport,
)

from notifier.cli import keyturn
from notifier.local import dev_faults
from notifier.local.clients import Clients
from notifier.local.cloud import LocalCloud
from notifier.local.dev import Teller
from notifier.local.dev_service import NotStarted, Service
from notifier.local.names import project_number
from notifier.local.rpc import Unreachable


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
        assert ["created", "added"] == [line.split()[1] for line in err.splitlines()[3:-1]]
        assert re.search(r"^\d\d:\d\d:\d\d\.\d{3}  added      secrets/db/versions/1$", err, re.MULTILINE)
        assert "NEVER for production" in err
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


@pytest.mark.parametrize("option", ["--secret-manager-port", "--pubsub-port", "--logging-port", "--keys-port"])
def test_a_port_in_use(option):
    """A port that is in use is told in one line that names the option, with status 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = CliRunner().invoke(keyturn, ["dev", option, str(taken.getsockname()[1])])

    assert (2, "", 1) == (ran.exit_code, ran.stdout, ran.stderr.count("\n"))
    assert option in ran.stderr


def test_nothing_is_kept():
    """Without a directory, a second cloud on the same port begins empty."""
    port = 0
    for _ in range(2):
        with LocalCloud(project="demo", secret_manager_port=port) as cloud:
            port = int(cloud.secret_manager.host.rpartition(":")[2])
            secrets = cloud.secret_manager_client()
            with pytest.raises(exceptions.NotFound):
                secrets.get_secret(name="projects/demo/secrets/db")
            cloud.create_secret("db")


def test_kept_and_for_one_at_a_time(tmp_path):
    """With --data a kill -9 loses nothing; while one runs, another on that directory is told so in a line."""
    place = str(tmp_path / "state")
    with dev("--json", "--project", "demo", "--data", place) as process:
        with client(json.loads(process.stdout.readline())["SECRET_MANAGER_EMULATOR_HOST"]) as secrets:
            secrets.create_secret(parent="projects/demo", secret_id="db", secret={"replication": {"automatic": {}}})
            secrets.add_secret_version(parent="projects/demo/secrets/db", payload={"data": b"kept"})
        process.kill()
    with dev("--json", "--data", place) as process:
        with client(json.loads(process.stdout.readline())["SECRET_MANAGER_EMULATOR_HOST"]) as secrets:
            read = secrets.access_secret_version(name="projects/demo/secrets/db/versions/1")
        with dev("--data", place) as second:
            _, err = second.communicate(timeout=20)

    assert b"kept" == read.payload.data
    assert 2 == second.returncode
    assert f"{place} is in use by another local cloud" in err
    assert 1 == err.count("\n")


def test_a_service_beside_it_and_faults(tmp_path):
    """A command runs with the environment, its lines are in Logging, faults are set, and all ends together."""
    faults = tmp_path / "faults.json"
    db = "projects/demo/secrets/db"
    faults.write_text(json.dumps([{"fault": "secrets/fail", "secret": db, "code": "ABORTED"}]))
    program = """
import os, signal
print('{"severity": "ERROR", "message": "m", "host": "%s"}' % os.environ["SECRET_MANAGER_EMULATOR_HOST"], flush=True)
os.write(2, b"plain\\n")
signal.sigwait({signal.SIGTERM})
print("ending", flush=True)
"""
    blocked = f"import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]){program}"
    command = (sys.executable, "-c", blocked)
    with dev("--json", "--project", "demo", "--faults", str(faults), "--", *command) as process:
        variables = json.loads(process.stdout.readline())
        line = json.loads(process.stdout.readline())
        with client(variables["SECRET_MANAGER_EMULATOR_HOST"]) as secrets, pytest.raises(exceptions.Aborted):
            secrets.access_secret_version(name=f"{db}/versions/1", retry=None)
        clients = Clients()
        logs = clients.logging(variables["LOGGING_EMULATOR_HOST"])
        asked = {"resource_names": ["projects/demo"], "filter": "log_id(run.googleapis.com/stdout) severity=ERROR"}
        (entry,) = logs.list_log_entries(request=asked)
        clients.close()
        process.terminate()
        out, err = process.communicate(timeout=15)

    assert variables["SECRET_MANAGER_EMULATOR_HOST"] == line["host"] == LogEntry.to_dict(entry)["json_payload"]["host"]
    assert Path(sys.executable).name == entry.resource.labels["service_name"]
    assert (0, "ending\n") == (process.returncode, out)
    assert "plain" in err.splitlines()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[", "is not JSON"),
        ("{}", "is not a JSON list"),
        ('[{"fault": 5}]', "entry 1: `fault` is missing"),
        (
            '[{"fault": "logs"}]',
            "there is no fault `logs`; there are audit, clock/advance, keys/fail, keys/rotate, pubsub/break",
        ),
        ('[{"fault": "keys/fail"}, {"fault": "secrets/fail", "secret": "x"}]', "entry 2, secrets/fail: The resource"),
        ('[{"fault": "secrets/slow"}]', "entry 1, secrets/slow: A member of the body is missing"),
    ],
)
def test_faults_that_cannot_be_set(cloud, tmp_path, content, said):
    """A file of faults that cannot be used is told by entry."""
    path = tmp_path / "faults.json"
    path.write_text(content)
    with pytest.raises(dev_faults.NotFaults, match=re.escape(said)):
        dev_faults.apply(dev_faults.read(path), cloud.control.routes())


@pytest.mark.parametrize("closed", [">&- 2>&-", "<&- >&- 2>&-"])
def test_streams_that_the_shell_closed(closed):
    """Where nobody is to hear of it, it runs as ever."""
    command = f"exec {sys.executable} -m notifier dev -- sh -c 'exit 3' {closed}"
    ran = subprocess.run(["sh", "-c", command], timeout=20, check=False)

    assert 3 == ran.returncode


def test_a_service_that_ends_or_does_not():
    """A command's end is told with its status, as a shell says it; a program that is not there is told by its name."""
    ended = threading.Event()
    taken = []
    running = {"environment": dict(os.environ), "out": io.BytesIO(), "err": io.BytesIO(), "ended": ended.set}
    service = Service(["sh", "-c", "echo one; kill -9 $$"], take=lambda *line: taken.append(line), **running)
    assert ended.wait(10)
    service.end()

    assert (137, [(b"one\n", "stdout")], b"one\n") == (service.status, taken, running["out"].getvalue())
    with pytest.raises(NotStarted, match="no-such-program cannot be run: No such file"):
        Service(["no-such-program"], take=lambda *_: None, **running)


def test_a_pubsub_of_somebody_elses():
    """Where the user has a Pub/Sub already, notifications go there, and what it cannot take is told."""
    lines = []
    with LocalCloud(project="demo") as theirs:
        elsewhere = theirs.environment()["PUBSUB_EMULATOR_HOST"]
        topic = theirs.create_topic("news")
        theirs.subscriber().create_subscription(name=theirs.subscription("reader"), topic=topic)
        with LocalCloud(project="demo", pubsub_host=elsewhere, report=lines.append) as cloud:
            assert elsewhere == cloud.environment()["PUBSUB_EMULATOR_HOST"]
            assert ("POST", "/pubsub/delay") not in cloud.control.routes()
            asked = {"replication": {"automatic": {}}, "topics": [{"name": topic}]}
            secrets = cloud.secret_manager_client()
            secrets.create_secret(parent="projects/demo", secret_id="db", secret=asked)
            asked["topics"][0]["name"] = "projects/demo/topics/none"
            with pytest.raises(exceptions.NotFound):
                secrets.create_secret(parent="projects/demo", secret_id="no", secret=asked)
            pulled = theirs.subscriber().pull(subscription=theirs.subscription("reader"), max_messages=9)
            theirs.pubsub.stop()
            secrets.add_secret_version(parent="projects/demo/secrets/db", payload={"data": b"x"})
            with pytest.raises(exceptions.ServiceUnavailable, match=f"Pub/Sub at {elsewhere} does not answer"):
                secrets.create_secret(parent="projects/demo", secret_id="no", secret=asked)

    assert ["SECRET_CREATE", "TOPIC_CONFIGURED"] == sorted(
        got.message.attributes["eventType"] for got in pulled.received_messages
    )
    assert [f"lost SECRET_VERSION_ADD of projects/{project_number('demo')}/secrets/db/versions/1 to {topic}"] == [
        line for line in lines if line.startswith("lost SECRET")
    ]


def test_a_pubsub_that_is_not_there():
    """A variable that names nothing is told with what to do, and nothing is left running."""
    with pytest.raises(Unreachable, match=r"PUBSUB_EMULATOR_HOST says 127.0.0.1:1,.*unset it"):
        LocalCloud(pubsub_host="127.0.0.1:1").start()


def test_what_callers_say_stays_in_its_line():
    """A name with control characters moves no cursor and makes no line of its own."""
    out = io.StringIO()
    tell = Teller(out, wall=lambda: 0.25, project="demo")
    tell("refused CreateTopic: [projects/demo/topics/\x1b[2J\nadded secrets/none]")

    assert out.getvalue().endswith(".250  refused    CreateTopic: [topics/?[2J?added secrets/none]\n")
