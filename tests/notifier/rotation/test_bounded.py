"""Rotators that do not keep their promises, and providers that do not keep theirs."""

import http.server
import logging
import threading

import pytest

from notifier.rotation.bounded import Bounded
from notifier.rotation.plan import Plan, Plans
from notifier.rotation.rotations import Rotations
from notifier.rotation.rotator import BadSettings, Job, RotatorError, find
from notifier.rotation.ticking import tick
from receiver import SecretName
from tests.notifier.rotation.bench import Bench, Logs, Provider


SECRET = SecretName("demo-project", "API_KEY")
JOB = Job(secret=SECRET, key="API_KEY-1-1", timeout=0.05, current=b"canary-old", read=lambda _: b"")


def test_a_step_that_never_ends():
    """A rotator that hangs is a failure of the step, in time."""
    provider, free = Provider(), threading.Event()
    provider.apply = lambda *_: free.wait(60)
    try:
        with pytest.raises(RotatorError, match="did not end"):
            Bounded(provider, margin=0.05).apply(JOB, b"canary")
    finally:
        free.set()


@pytest.mark.parametrize("broken", [ValueError, TimeoutError, UnicodeError])
def test_words_that_are_not_repeated(broken):
    """What a rotator raises against its promise is told by its type."""
    provider = Provider()

    def create(_job):
        raise broken("canary")

    provider.create = create
    with pytest.raises(RotatorError, match="unexpectedly") as caught:
        Bounded(provider, margin=10.0).create(JOB)

    assert "canary" not in str(caught.value)


class Answers(http.server.BaseHTTPRequestHandler):
    """Lets one key in, and says that its answers are compressed where they are not."""

    def do_GET(self):
        self.send_response(200 if self.headers["Authorization"] == "Bearer canary-good" else 401)
        if self.path == "/broken":
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(b"no gzip")

    def log_message(self, *_):
        pass


@pytest.fixture
def address():
    """Of a provider on loopback."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def verifying(url):
    headers = {"Authorization": "Bearer {candidate}"}
    verify = {"method": "GET", "url": url, "headers": headers}
    return find("http", {"create": {"url": url, "value": "/key"}, "verify": verify})


def test_the_candidate_itself_is_tried(address, tmp_path, monkeypatch):
    """No credential of the machine's own takes the place of the one that is tried."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    job = Job(secret=SECRET, key="k", timeout=10.0, current=None, read=lambda _: b"")
    verifying(address).test(job, b"canary-good")
    with pytest.raises(RotatorError, match="no answer"):
        verifying(f"{address}/broken").test(job, b"canary-good")


def test_one_that_is_broken_stops_no_other(rotation_cloud, name, caplog):
    """A look at what is due goes on to the next secret, whatever is wrong with one."""
    bench = Bench(rotation_cloud, name)
    plans = [Plan(SecretName(rotation_cloud.project, one), rotator="random") for one in (f"{name}_BAD", name)]
    rotations = Rotations(Plans({plan.secret.secret: plan for plan in plans}), bench.vault, Logs())
    rotations.asked(rotations.machine(name))
    rotations.machine(f"{name}_BAD").advance = lambda **_: 1 / 0
    with caplog.at_level(logging.ERROR):
        tick(rotations)

    assert 2 == bench.served()[0]
    assert [f"{name}_BAD: a look failed (ZeroDivisionError)"] == [
        record.getMessage().rpartition("/")[2] for record in caplog.records
    ]


def test_another_projects_secret_of_the_same_name():
    """Where the project's number is known, an event of another number is another project's."""
    plan = Plan(SECRET, rotator="random")
    known, unknown = Plans({"API_KEY": plan}, number=82150720798), Plans({"API_KEY": plan})

    assert plan is known.of(SecretName("82150720798", "API_KEY"))
    assert plan is known.of(SECRET)
    assert known.of(SecretName("1", "API_KEY")) is None
    assert plan is unknown.of(SecretName("1", "API_KEY"))


def test_a_command_that_no_system_runs():
    """What could only fail at every step is refused when the manifest is read."""
    with pytest.raises(BadSettings, match="NUL"):
        find("command", {"command": ["/bin/program\0"]})
