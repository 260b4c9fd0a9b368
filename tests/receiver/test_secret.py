"""The handle: a plain attribute, one immutable pair, and nothing that shows a value."""

import copy
import sys
import threading
import timeit

import pytest

from receiver.errors import SecretRevoked
from receiver.names import SecretName
from receiver.secret import ColdSecret, HeldValue, HotSecret, cold, make_cold, make_hot, make_revoked


NAME = SecretName("p", "API_KEY")


class Owner:
    """What stands behind a handle, as far as these tests go."""

    def __init__(self, load):
        self.first_read = load


def loaded(value="v-3", version=3):
    secret = cold(NAME, Owner(lambda: make_hot(secret, HeldValue(version, value))))
    return secret


def test_the_first_read_loads():
    """Nothing is loaded before the first read, and each of the three views loads."""
    for view, expected in [("value", "v-3"), ("version", 3), ("held", HeldValue(3, "v-3"))]:
        secret = loaded()
        assert isinstance(secret, ColdSecret)

        assert expected == getattr(secret, view)
        assert isinstance(secret, HotSecret)


@pytest.mark.promise("free to read")
def test_a_loaded_value_is_read_like_any_slot():
    """Reading costs what a slotted attribute costs: no `__getattr__`, property or descriptor of ours is in the way."""
    secret = loaded()
    assert "v-3" == secret.value

    assert "__getattr__" not in {name for kind in type(secret).__mro__ for name in vars(kind)}
    assert "member_descriptor" == type(vars(type(secret).__mro__[1])["value"]).__name__


@pytest.mark.promise("free to read")
def test_a_loaded_value_is_read_about_as_fast_as_a_slot():
    """A generous bound that only a lost specialisation breaks (it is five times slower); `make bench` has figures."""

    class Slotted:
        __slots__ = ("value",)

    secret, slotted = loaded(), Slotted()
    slotted.value = secret.value

    def cost(thing):
        return min(timeit.repeat("thing.value", globals={"thing": thing}, number=100_000, repeat=15))

    assert min(cost(secret) / cost(slotted) for _ in range(3)) < 2.5


def test_unknown_attributes_are_refused_without_loading():
    """Probes by hasattr, copy and templates do not cause a call to Secret Manager."""
    secret = cold(NAME, Owner(lambda: pytest.fail("loaded")))

    assert not hasattr(secret, "__html__")
    assert not hasattr(secret, "anything")
    assert "<Secret projects/p/secrets/API_KEY version not loaded>" == repr(secret)
    assert secret is copy.copy(secret) is copy.deepcopy(secret)


def test_a_value_none_is_a_value():
    """JSON's null is loaded, turned cold and loaded again like any other value."""
    secret = loaded(value=None)
    assert secret.value is None

    assert HeldValue(3, None) == make_cold(secret)
    assert secret.value is None


def test_revoked_reads_raise_and_say_what_to_do():
    """A revoked secret raises at each read, and not an AttributeError that `getattr` or templates would swallow."""
    secret = loaded()
    assert 3 == secret.version
    make_revoked(secret)

    with pytest.raises(SecretRevoked, match="enable one or add one"):
        _ = secret.value
    assert not hasattr(secret, "anything")
    assert not issubclass(SecretRevoked, AttributeError)


def test_readers_never_see_anything_but_a_whole_value():
    """While one thread swaps, empties and revokes, readers see whole values and errors of ours, nothing else."""
    secret = cold(NAME, Owner(lambda: make_hot(secret, HeldValue(0, "v-0"))))
    stop = threading.Event()
    wrong = []

    def read():
        while not stop.is_set():
            try:
                held = secret.held
                assert secret.value.startswith("v-")
            except SecretRevoked:
                continue
            except Exception as exc:  # noqa: BLE001  # whatever it is, it is what this test looks for
                wrong.append(repr(exc))
                return
            if held.value != f"v-{held.version}":
                wrong.append(repr(held))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(20_000):
        make_hot(secret, HeldValue(number, f"v-{number}"))
        if number % 7 == 0:
            (make_cold if number % 2 else make_revoked)(secret)
    stop.set()
    for reader in readers:
        reader.join(10)
    sys.setswitchinterval(interval)

    assert [] == wrong
