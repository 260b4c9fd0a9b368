"""What every source promises, held against the one in memory and against Google's client with a real gRPC server."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import grpc
import pytest

from notifier.local.cloud import LocalCloud
from receiver.errors import AccessFailed, VersionMissing, VersionRefused
from receiver.names import SecretName, VersionName
from receiver.secret_manager import SecretManagerSource
from receiver.testing import InMemorySource


TIMEOUT = 10.0

#: By how much an access may overrun its timeout, in seconds.
SLACK = 0.3

LARGEST = bytes(range(256)) * 256


class Memory:
    """The source in memory, and its own hands on what it holds."""

    def __init__(self, name):
        self.source = InMemorySource()
        self.number = self.source.project_number
        self.name = name
        for hand in ("add", "enable", "disable", "destroy", "set_aliases", "delete", "lag", "catch_up", "block"):
            setattr(self, hand, getattr(self, hand, None) or self._hand(hand))

    def _hand(self, hand):
        return lambda *args, **kwargs: getattr(self.source, hand)(self.name, *args, **kwargs)

    def fail(self, times):
        self.source.fail(times=times, name=self.name)

    def deny(self):
        self.source.fail(AccessFailed("permission denied", transient=False))

    def release(self):
        self.source.release()


class Google:
    """The official client against the local cloud."""

    def __init__(self, cloud, name):
        self.source = SecretManagerSource()
        self.name = name
        self._cloud, self._secrets = cloud, cloud.secret_manager
        self.number = cloud.create_secret(name.path).split("/")[1]

    def add(self, data):
        return self._cloud.add_version(self.name.path, data)

    def enable(self, number):
        self._secrets.enable_version(self.name.path, number)

    def disable(self, number):
        self._secrets.disable_version(self.name.path, number)

    def destroy(self, number):
        self._secrets.destroy_version(self.name.path, number)

    def set_aliases(self, aliases):
        self._secrets.set_aliases(self.name.path, aliases)

    def delete(self):
        self._secrets.delete_secret(self.name.path)

    def lag(self, changes):
        self._secrets.lag(self.name.path, changes=changes)

    def catch_up(self):
        self._secrets.catch_up(self.name.path)

    def fail(self, times):
        self._secrets.fail_accesses(self.name.path, times=times, code=grpc.StatusCode.INTERNAL)

    def deny(self):
        self._secrets.fail_accesses(self.name.path, code=grpc.StatusCode.PERMISSION_DENIED)

    def block(self):
        self._secrets.slow_accesses(self.name.path)

    def release(self):
        self._secrets.heal(self.name.path)


@pytest.fixture(scope="module")
def cloud():
    with LocalCloud(project="demo") as running:
        yield running


ids = count(1)


@pytest.fixture(params=["memory", "google"])
def kind(request):
    return request.param


@pytest.fixture(params=["", "europe-west4"], ids=["global", "regional"])
def stand(request, kind, cloud, monkeypatch):
    """One secret of a source, and the hands to change it."""
    name = SecretName("demo", f"secret-{next(ids)}", request.param)
    for variable, value in cloud.environment().items():
        monkeypatch.setenv(variable, value)
    made = Memory(name) if kind == "memory" else Google(cloud, name)
    yield made
    made.release()
    made.source.close()


def read(stand, version="latest", *, timeout=TIMEOUT):
    return stand.source.access(stand.name, str(version), timeout=timeout)


def test_by_latest_alias_and_number(stand):
    """Each spelling brings its version's bytes, under the name that production gives: by the project's number."""
    for data in (b"one", b"two", b"three"):
        stand.add(data)
    stand.set_aliases({"blue": 2})

    found = {version: read(stand, version) for version in ("latest", "blue", "1")}

    assert {"latest": b"three", "blue": b"two", "1": b"one"} == {v: payload.data for v, payload in found.items()}
    assert VersionName(stand.name.within(stand.number), 3) == found["latest"].version
    assert [3, 2, 1] == [payload.version.number for payload in found.values()]


def test_the_project_by_its_number(stand):
    """A secret may be asked for by its project's number too."""
    stand.add(b"one")

    by_number = stand.source.access(stand.name.within(stand.number), "1", timeout=TIMEOUT)

    assert read(stand, 1) == by_number


@pytest.mark.parametrize("version", ["latest", "1", "2", "blue"])
def test_missing(stand, version):
    """No secret, no version, no such number and no such alias are all VersionMissing."""
    with pytest.raises(VersionMissing):
        read(stand, version)
    stand.add(b"one")
    if version in ("2", "blue"):
        with pytest.raises(VersionMissing):
            read(stand, version)
    else:
        assert b"one" == read(stand, version).data


def test_an_alias_that_is_taken_away(stand):
    """An alias that is not set any more is missing."""
    stand.add(b"one")
    stand.set_aliases({"blue": 1})
    assert b"one" == read(stand, "blue").data
    stand.set_aliases({})

    with pytest.raises(VersionMissing):
        read(stand, "blue")


def test_disabled_and_enabled_again(stand):
    """A disabled version is refused by every spelling, not as destroyed, and served again once it is enabled."""
    stand.add(b"one")
    stand.set_aliases({"blue": 1})
    stand.disable(1)
    for version in ("1", "latest", "blue"):
        with pytest.raises(VersionRefused) as refused:
            read(stand, version)
        assert not refused.value.destroyed
    stand.enable(1)

    assert [b"one"] * 3 == [read(stand, version).data for version in ("1", "latest", "blue")]


def test_destroyed(stand):
    """A destroyed version is refused as such."""
    stand.add(b"one")
    stand.destroy(1)

    for version in ("1", "latest"):
        with pytest.raises(VersionRefused) as refused:
            read(stand, version)
        assert refused.value.destroyed


@pytest.mark.parametrize("end", ["disable", "destroy"])
def test_latest_does_not_step_back(stand, end):
    """`latest` is the version created last: where that is unusable it is refused, and older ones serve by number."""
    stand.add(b"one")
    stand.add(b"two")
    getattr(stand, end)(2)

    with pytest.raises(VersionRefused):
        read(stand)
    assert b"one" == read(stand, 1).data


def test_deleted_and_made_again(stand):
    """A deleted secret is missing; one of its name that is made later counts from 1."""
    stand.add(b"one")
    stand.add(b"two")
    stand.delete()
    for version in ("latest", "1"):
        with pytest.raises(VersionMissing):
            read(stand, version)
    if isinstance(stand, Google):
        stand._cloud.create_secret(stand.name.path)
    stand.add(b"new")

    assert (1, b"new") == (read(stand).version.number, read(stand).data)


@pytest.mark.parametrize("data", [b"\x00", b"\xff\xfe\r\n", b" a \n", LARGEST], ids=["nul", "binary", "blanks", "64K"])
def test_bytes_are_untouched(stand, data):
    """What was added comes back byte for byte, 64 KiB at most."""
    stand.add(data)

    assert data == read(stand).data


@pytest.mark.parametrize("data", [b"", LARGEST + b"x"], ids=["empty", "too large"])
def test_what_secret_manager_never_holds(stand, data):
    """An empty value, or one of more than 64 KiB, is refused when it is added."""
    with pytest.raises(Exception, match=r"bytes|empty|large|payload"):
        stand.add(data)
    with pytest.raises(VersionMissing):
        read(stand)


def test_stale_latest(stand):
    """Where `latest` and aliases lag, an added version is there by its number at once."""
    stand.add(b"one")
    stand.set_aliases({"blue": 1})
    stand.add(b"two")
    stand.lag(changes=1)
    assert (b"one", b"two") == (read(stand).data, read(stand, 2).data)
    stand.set_aliases({"blue": 2})
    assert b"one" == read(stand, "blue").data
    stand.catch_up()

    assert (b"two", b"two") == (read(stand).data, read(stand, "blue").data)


def test_latest_that_has_not_heard_of_a_disabling(stand):
    """Where `latest` lags, it serves a version that has been disabled, which its number refuses."""
    stand.add(b"one")
    stand.lag(changes=0)
    stand.disable(1)

    assert b"one" == read(stand).data
    with pytest.raises(VersionRefused):
        read(stand, 1)


def test_a_failure_that_passes(stand):
    """A failure is AccessFailed and transient, and the access after it succeeds."""
    stand.add(b"one")
    stand.fail(1)
    with pytest.raises(AccessFailed) as failed:
        read(stand)

    assert failed.value.transient
    assert b"one" == read(stand).data


def test_a_failure_that_stays(stand):
    """What somebody must mend first is AccessFailed and not transient."""
    stand.add(b"one")
    stand.deny()
    with pytest.raises(AccessFailed) as failed:
        read(stand)

    assert not failed.value.transient


def test_an_access_ends_at_its_timeout(stand):
    """An access that is never answered ends at its timeout as a passing failure, and later ones are served."""
    stand.add(b"one")
    read(stand)
    stand.block()
    began = time.monotonic()
    with pytest.raises(AccessFailed) as failed:
        read(stand, timeout=0.2)
    took = time.monotonic() - began
    stand.release()

    assert failed.value.transient
    assert 0.1 < took < 0.2 + SLACK
    assert b"one" == read(stand).data


@pytest.mark.parametrize("timeout", [0.0, -1.0])
def test_no_time_left(stand, timeout):
    """Without any time left an access ends at once: with the value or with a passing failure."""
    stand.add(b"one")
    read(stand)
    stand.block()
    began = time.monotonic()

    with pytest.raises(AccessFailed) as failed:
        read(stand, timeout=timeout)

    assert failed.value.transient
    assert time.monotonic() - began < SLACK


def test_after_a_fork(stand):
    """After `after_fork` the source serves as before."""
    stand.add(b"one")
    read(stand)
    stand.source.after_fork()

    assert b"one" == read(stand).data


def test_closed_and_used_again(stand):
    """The access after a `close` opens what it needs; closing twice, or first of all, is harmless."""
    stand.source.close()
    stand.add(b"one")
    read(stand)
    stand.source.close()
    stand.source.close()

    assert b"one" == read(stand).data


def test_many_threads(stand):
    """32 threads that read at once, with versions being added meanwhile, each get a version's own bytes."""
    stand.add(b"1")
    together = threading.Barrier(33)

    def reads():
        together.wait(10)
        return [read(stand) for _ in range(5)]

    with ThreadPoolExecutor(32) as pool:
        futures = [pool.submit(reads) for _ in range(32)]
        together.wait(10)
        for number in range(2, 12):
            stand.add(str(number).encode())
        found = [payload for future in futures for payload in future.result(20)]

    assert 160 == len(found)
    assert [] == [payload for payload in found if str(payload.version.number).encode() != payload.data]


def test_closing_while_others_read(stand):
    """Whoever reads while the source is closed is served or told of a passing failure, nothing else."""
    stand.add(b"one")
    closed = threading.Event()

    def reads():
        told = []
        while not closed.is_set():
            try:
                told.append(read(stand).data)
            except AccessFailed as exc:
                told.append(exc.transient)
        return told

    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(reads) for _ in range(8)]
        for _ in range(20):
            read_once(stand)
            stand.source.close()
        closed.set()
        told = [what for future in futures for what in future.result(20)]

    assert {b"one", True} >= set(told)
    assert b"one" == read(stand).data


def read_once(stand):
    """One access that may meet another's `close`."""
    try:
        read(stand)
    except AccessFailed as exc:
        assert exc.transient  # noqa: PT017


def test_names_show_and_values_do_not(stand):
    """Errors name what was asked for; no repr shows a value."""
    stand.add(b"canary")
    payload = read(stand)
    with pytest.raises(VersionMissing, match=stand.name.secret):
        read(stand, 7)

    assert "canary" not in repr(payload) + repr(stand.source) + repr(vars(stand.source))
