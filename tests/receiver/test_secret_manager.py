"""What only Google's client can do wrong, and what comes of a source that raises what it should not."""

import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import google.auth
import google_crc32c
import grpc
import pytest
from google.auth.exceptions import DefaultCredentialsError
from google.cloud.secretmanager_v1.types import resources, service

from notifier.local.cloud import LocalCloud
from notifier.local.rpc import Method, Refusal, Server
from notifier.local.secret_service import NAME
from receiver import SecretCache, SecretUnavailable, secret_manager
from receiver.errors import AccessFailed, ConfigurationError
from receiver.names import SecretName
from receiver.secret_manager import EMULATOR_VARIABLE, SecretManagerSource
from receiver.testing import InMemorySource, push


ROOT = Path(__file__).parents[2]
CANARY = "canary-7f3a"
SECRET = SecretName("demo", "KEY")
GIVEN = "projects/123/secrets/KEY/versions/1"

#: By how much an access may overrun its timeout, in seconds.
SLACK = 1.0


class Upstream:
    """A server of AccessSecretVersion that answers as it is told: a list of functions, the last one for ever."""

    def __init__(self):
        self.answers = [good()]
        self.asked = 0
        self.over = threading.Event()
        access = Method(service.AccessSecretVersionRequest.pb(), self._answer)
        self._server = Server("secret-manager", port=0, services={NAME: {"AccessSecretVersion": access}})
        self.host = self._server.host

    def _answer(self, _request, _caller):
        self.asked += 1
        return (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])()

    def hang(self):
        self.over.wait(20)
        raise Refusal(grpc.StatusCode.ABORTED, "over")

    def stop(self):
        self.over.set()
        self._server.stop()


def good(name=GIVEN, data=b"one", crc=None):
    checksum = google_crc32c.value(data) if crc is None else crc
    payload = resources.SecretPayload.pb()(data=data, data_crc32c=checksum)
    return lambda: service.AccessSecretVersionResponse.pb()(name=name, payload=payload)


def refusal(code, message=CANARY):
    def refuse():
        raise Refusal(code, message)

    return refuse


@pytest.fixture
def upstream(monkeypatch):
    serving = Upstream()
    monkeypatch.setenv(EMULATOR_VARIABLE, serving.host)
    yield serving
    serving.stop()


@pytest.fixture
def source():
    made = SecretManagerSource()
    yield made
    made.close()


@pytest.fixture
def cache(tmp_path):
    made = SecretCache("demo", run_dir=str(tmp_path))
    yield made
    made.close()


def read(source, name=SECRET, version="latest", *, timeout=5.0):
    return source.access(name, version, timeout=timeout).data


def failed(source, *, timeout=5.0, **how):
    """The failure of one access, and how long it took."""
    began = time.monotonic()
    with pytest.raises(AccessFailed) as raised:
        read(source, timeout=timeout, **how)
    return raised.value, time.monotonic() - began


@pytest.mark.parametrize(
    "answer",
    [
        good(GIVEN.replace("versions/1", "versions/2")),
        good(GIVEN.replace("KEY", "OTHER")),
        good(GIVEN.replace("projects/123", "projects/123/locations/us-east1")),
        good(GIVEN.replace("versions/1", "versions/latest")),
        good("nonsense"),
        good(""),
        good(crc=1),
        good(data=b"one", crc=0),
    ],
    ids=["number", "secret", "location", "no number", "no name", "empty name", "checksum", "no checksum"],
)
def test_an_answer_that_is_not_to_be_believed(upstream, source, answer):
    """What names another version, or has a checksum that does not fit, is a passing failure and never a value."""
    upstream.answers = [answer, good()]

    failure, _ = failed(source, version="1")

    assert failure.transient
    assert "one" not in str(failure)
    assert b"one" == read(source, version="1")


@pytest.mark.parametrize("code", [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE])
def test_what_passes_is_tried_again(upstream, source, code):
    """Quota and outage are tried again within the timeout, by the caller's patience and not by the client's."""
    upstream.answers = [refusal(code), refusal(code), good()]

    assert b"one" == read(source)
    assert 3 == upstream.asked


@pytest.mark.parametrize("code", [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE])
def test_what_does_not_pass_ends_in_time(upstream, source, code):
    """Quota and outage that stay end with the timeout, and are said by their name."""
    upstream.answers = [refusal(code)]
    read_in_vain, took = failed(source, timeout=0.6)

    assert read_in_vain.transient
    assert 1 < upstream.asked
    assert took < 0.6 + SLACK
    assert CANARY not in str(read_in_vain)


def test_an_answer_that_never_comes(upstream, source):
    """A call that hangs ends with its timeout."""
    read(source)
    upstream.answers = [upstream.hang]
    failure, took = failed(source, timeout=0.3)

    assert failure.transient
    assert took < 0.3 + SLACK


def test_an_answer_that_never_comes_after_a_failure(upstream, source):
    """A second attempt that hangs gets what the first has left of the timeout, not all of it once more."""
    read(source)
    upstream.answers = [lambda: upstream.over.wait(0.5) or refusal(grpc.StatusCode.UNAVAILABLE)(), upstream.hang]
    failure, took = failed(source, timeout=0.8)

    assert failure.transient
    assert took < 0.8 + SLACK


def test_nobody_listens(source, monkeypatch):
    """An upstream that is not there is a passing failure, within the timeout."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv(EMULATOR_VARIABLE, f"127.0.0.1:{unused.getsockname()[1]}")
        failure, took = failed(source, timeout=0.4)

    assert failure.transient
    assert took < 0.4 + SLACK


@pytest.mark.parametrize(
    ("code", "transient"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, False),
        (grpc.StatusCode.UNAUTHENTICATED, False),
        (grpc.StatusCode.FAILED_PRECONDITION, False),
        (grpc.StatusCode.INVALID_ARGUMENT, False),
        (grpc.StatusCode.INTERNAL, True),
        (grpc.StatusCode.ABORTED, True),
        (grpc.StatusCode.CANCELLED, True),
        (grpc.StatusCode.UNKNOWN, True),
        (grpc.StatusCode.DATA_LOSS, True),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_every_status_is_the_ports(upstream, source, code, transient):
    """Each status becomes AccessFailed, says whether waiting helps, and repeats nothing of upstream's text."""
    upstream.answers = [refusal(code)]

    failure, _ = failed(source)

    assert transient == failure.transient
    assert CANARY not in str(failure)


NOT_LOOPBACK = ["8.8.8.8:80", "example.com:80", "localhost.example.com:80", "8080", "[2001:db8::1]:80"]


@pytest.mark.parametrize("address", NOT_LOOPBACK)
def test_an_emulator_elsewhere_is_refused(source, monkeypatch, address):
    """Only a loopback address is taken for a local server, since values would cross the network in the clear."""
    monkeypatch.setenv(EMULATOR_VARIABLE, address)

    with pytest.raises(ConfigurationError, match="loopback"):
        read(source)


def test_an_emulator_elsewhere_is_told_by_load(cache, monkeypatch):
    """`load` says at once that the emulator's address is wrong; no thread dies of it."""
    monkeypatch.setenv(EMULATOR_VARIABLE, "8.8.8.8:80")
    key = cache.secret("KEY")
    cache.secret("OTHER")
    for reading in (cache.load, lambda: key.value):
        began = time.monotonic()
        with pytest.raises(SecretUnavailable, match="must be a loopback address"):
            reading()
        assert time.monotonic() - began < 2.0


@pytest.mark.parametrize("error", [RuntimeError, KeyError, OSError, RecursionError, type("Own", (Exception,), {})])
def test_a_source_that_raises_what_it_should_not(tmp_path, caplog, error):
    """Any exception of a source is a lasting failure, told by its type alone; no thread dies of it."""
    source = InMemorySource({"KEY": "one"})
    cache = SecretCache("demo", source=source, run_dir=str(tmp_path))
    key = cache.secret("KEY")
    source.fail(error(CANARY), times=1)
    with pytest.raises(SecretUnavailable, match=error.__name__) as raised:
        cache.load()
    source.fail(error(CANARY), times=1)
    with pytest.raises(SecretUnavailable, match=error.__name__):
        _ = key.value
    assert "one" == key.value

    source.fail(error(CANARY), times=1)
    source.add("KEY", "two")
    push(source, cache)
    assert "one" == key.value
    cache.close()

    said = [r.getMessage() for r in caplog.records if r.getMessage().startswith("refresh_failed")]
    assert 3 == len([text for text in said if error.__name__ in text])
    assert CANARY not in str(raised.value) + "".join(said)


def test_a_source_that_answers_nonsense(tmp_path):
    """A source that returns something else than a payload is told like one that raises."""

    class Nonsense(InMemorySource):
        def access(self, name, version, *, timeout):
            return None

    cache = SecretCache("demo", source=Nonsense(), run_dir=str(tmp_path))
    cache.secret("KEY")

    with pytest.raises(SecretUnavailable, match="AttributeError"):
        cache.load()
    cache.close()


@pytest.fixture
def slow(monkeypatch, upstream):
    """Making a client for the location `slow` takes until released; how often one was made, by location."""
    connect, release, made = secret_manager._connect, threading.Event(), []

    def slowly(location):
        made.append(location)
        if location == "slow":
            release.wait(20)
        return connect(location)

    monkeypatch.setattr(secret_manager, "_connect", slowly)
    slowly.release, slowly.made = release.set, made
    yield slowly
    release.set()


SLOW = SecretName("demo", "KEY", "slow")
SLOW_ANSWER = good(GIVEN.replace("projects/123", "projects/123/locations/slow"))


def test_one_location_does_not_hold_up_another(upstream, source, slow):
    """While the client of one location is being made, others are served, and its own callers end in time."""
    failure, took = failed(source, name=SLOW, timeout=0.2)
    assert failure.transient
    assert took < 0.2 + SLACK
    assert b"one" == read(source, timeout=2.0)
    upstream.answers = [SLOW_ANSWER]
    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read, source, SLOW) for _ in range(4)]
        slow.release()
        assert [b"one"] * 4 == [reader.result(5) for reader in readers]

    assert ["slow", ""] == slow.made


@pytest.mark.parametrize("act", ["close", "after_fork"])
def test_letting_go_while_a_client_is_being_made(upstream, source, slow, act):
    """Closing, or a fork, waits for no client that is being made, and the next access makes its own."""
    failed(source, name=SLOW, timeout=0.01)
    began = time.monotonic()
    getattr(source, act)()
    assert time.monotonic() - began < SLACK
    slow.release()
    upstream.answers = [SLOW_ANSWER]

    assert b"one" == read(source, SLOW)
    assert ["slow", "slow"] == slow.made


@pytest.fixture
def no_emulator(monkeypatch):
    monkeypatch.delenv(EMULATOR_VARIABLE, raising=False)


def test_no_credentials(no_emulator, source, monkeypatch):
    """Without credentials an access fails for good, saying so; the next one looks for them again."""
    searches = []

    def nothing(*_args, **_kwargs):
        searches.append(1)
        raise DefaultCredentialsError(CANARY)

    monkeypatch.setattr(google.auth, "default", nothing)
    for _ in range(2):
        failure, _ = failed(source)
        assert not failure.transient
        assert "credentials" in str(failure)
        assert CANARY not in str(failure)

    assert 2 == len(searches)


def test_a_search_for_credentials_that_does_not_end(no_emulator, source, tmp_path, monkeypatch):
    """However long the search for credentials takes, `load` ends with its timeout, and all secrets share one search."""
    searches, release = [], threading.Event()

    def endless(*_args, **_kwargs):
        searches.append(1)
        release.wait(20)
        raise DefaultCredentialsError

    monkeypatch.setattr(google.auth, "default", endless)
    cache = SecretCache("demo", source=source, run_dir=str(tmp_path))
    for number in range(8):
        cache.secret(f"KEY{number}")
    began = time.monotonic()
    with pytest.raises(SecretUnavailable, match="8 of the declared secrets"):
        cache.load(timeout=0.4)
    took = time.monotonic() - began
    failure, _ = failed(source, timeout=0.1)
    release.set()
    cache.close()

    assert took < 0.4 + SLACK
    assert "credentials" in str(failure)
    assert 1 == len(searches)


def run(code, *args, env):
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        env={**env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )


WITHOUT_CREDENTIALS = """
import sys, time
from google.cloud import secretmanager
from receiver import SecretCache, SecretUnavailable

cache = SecretCache("demo", run_dir=sys.argv[1])
cache.secret("KEY")
began = time.monotonic()
try:
    cache.load(timeout=0.5)
except SecretUnavailable:
    print("unavailable", time.monotonic() - began)
cache.close()
"""


def test_an_environment_without_credentials(tmp_path):
    """With no credentials, and a metadata server that takes connections and never answers, a service's start fails
    in time, and its process ends at once."""
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen()
        address = f"127.0.0.1:{hole.getsockname()[1]}"
        began = time.monotonic()
        ended = run(
            WITHOUT_CREDENTIALS,
            str(tmp_path),
            env={
                "HOME": str(tmp_path),
                "CLOUDSDK_CONFIG": str(tmp_path),
                "GCE_METADATA_HOST": address,
                "GCE_METADATA_IP": address,
            },
        )
        took = time.monotonic() - began

    told, load_took = ended.stdout.split()
    assert ("unavailable", 0) == (told, ended.returncode)
    assert float(load_took) < 0.5 + 2 * SLACK
    assert took < 8.0
    assert "Traceback" not in ended.stderr


FORKS = """
import os, sys, threading, time
from receiver.errors import AccessFailed
from receiver.names import SecretName
from receiver.secret_manager import SecretManagerSource

source = SecretManagerSource()
os.register_at_fork(after_in_child=source.after_fork)
over = threading.Event()

def read():
    return source.access(SecretName("demo", "KEY"), "latest", timeout=5).data

def reads():
    while not over.is_set():
        try:
            read()
        except AccessFailed:
            pass  # a call that is under way at the moment of a fork may be lost to gRPC, and ends by its deadline

def ended(pid, deadline):
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return "hung"

read()
busy = [threading.Thread(target=reads) for _ in range(int(sys.argv[1]))]
for thread in busy:
    thread.start()
codes = []
for _ in range(4):
    pid = os.fork()
    if pid == 0:
        began = time.monotonic()
        good = read() == b"one" and time.monotonic() - began < 2.0
        source.close()
        good = good and read() == b"one"
        sys.exit(0 if good else 3)  # an ordinary end, with all that is torn down at one
    codes.append(ended(pid, time.monotonic() + 5))
    read()
over.set()
for thread in busy:
    thread.join()
source.close()
print(codes, read())
"""


@pytest.mark.parametrize("busy", [0, 4], ids=["idle", "busy"])
def test_a_parent_with_an_open_channel_forks(tmp_path, busy):
    """A forked child reads within two seconds over a channel of its own and ends; the parent's channel goes on."""
    with LocalCloud(project="demo") as cloud:
        cloud.create_secret("KEY", b"one")
        ended = run(FORKS, str(busy), env={**os.environ, **cloud.environment()})

    assert "[0, 0, 0, 0] b'one'" == ended.stdout.strip(), ended.stderr
    assert "Traceback" not in ended.stderr


SLOW_IMPORT = """
import os, signal, sys, threading, time
from receiver.errors import AccessFailed
from receiver.names import SecretName
from receiver.secret_manager import SecretManagerSource

source = SecretManagerSource()
os.register_at_fork(after_in_child=source.after_fork)
importing = threading.Event()

class Slowly:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1] and not importing.is_set():
            importing.set()
            time.sleep(float(sys.argv[2]))

sys.meta_path.insert(0, Slowly())

def read(timeout):
    began = time.monotonic()
    try:
        found = source.access(SecretName("demo", "KEY"), "latest", timeout=timeout).data
    except AccessFailed as exc:
        found = exc.transient
    return found, round(time.monotonic() - began, 1)
"""

BOUNDED = "print(read(0.2))"

FORK_MEANWHILE = """
threading.Thread(target=read, args=(10,)).start()
importing.wait(10)
pid = os.fork()
if pid == 0:
    signal.alarm(25)  # a child that hangs does not outlive the test
    print(read(12)[0], flush=True)
    os._exit(0)
os.waitpid(pid, 0)
print(read(12)[0])
"""

#: The first that is imported, and one in the middle.
MODULES = ["google.api_core", "google.cloud.secretmanager_v1.types"]


@pytest.mark.parametrize("module", MODULES)
def test_an_import_that_takes_long(upstream, module):
    """The time that importing Google's client takes is bounded by the timeout too."""
    ended = run(SLOW_IMPORT + BOUNDED, module, "2", env=dict(os.environ))

    found, took = ended.stdout.strip("()\n").split(", ")
    assert "True" == found, ended.stderr
    assert float(took) <= 0.2 + SLACK


@pytest.mark.parametrize("module", MODULES)
def test_a_fork_in_the_middle_of_the_import(upstream, module):
    """A fork while another thread imports Google's client leaves a child that can import and read."""
    ended = run(SLOW_IMPORT + FORK_MEANWHILE, module, "0.5", env=dict(os.environ))

    assert "b'one'\nb'one'\n" == ended.stdout, ended.stderr
