"""Secrets that belong together: groups, and views of a request."""

import os
import threading

import pytest

from receiver import SecretCache, SecretUnavailable
from receiver.testing import push, rotate


@pytest.fixture
def parts(cache):
    return cache.secret("USER"), cache.secret("PASSWORD")


@pytest.fixture
def group(cache, parts):
    group = cache.group(user=parts[0], password=parts[1])
    cache.load()
    return group


def test_a_group_moves_when_all_its_members_have_moved(cache, source, group, parts, caplog):
    """Between the two changes it stays with the set that belongs together, and says so."""
    assert ({"user": "app-1", "password": "pw-1"}, 1) == (dict(group.value), group.version)
    rotate(cache, source, "USER", "app-2")
    assert ({"user": "app-1", "password": "pw-1"}, 1) == (dict(group.value), group.version)
    assert "app-2" == parts[0].value
    assert "group_waits" in caplog.text
    assert "app-" not in caplog.text
    rotate(cache, source, "PASSWORD", "pw-2")

    assert ({"user": "app-2", "password": "pw-2"}, 2) == (dict(group.value), group.version)


def test_what_is_held_is_one_object_until_it_changes(cache, source, group):
    """Reading twice gives the same object, which nobody can change."""
    held = group.held
    assert held is group.held
    with pytest.raises(TypeError):
        held.value["user"] = "x"
    rotate(cache, source, "USER", "app-2")
    assert held is group.held
    rotate(cache, source, "PASSWORD", "pw-2")

    assert held is not group.held
    assert "pw-" not in repr(held) + repr(group)


def test_callbacks_are_told_of_whole_sets_only(cache, source, group):
    """One call for the change of all members, with the values that belong together."""
    told = []
    group.on_change(lambda held: told.append((held.version, dict(held.value))))
    rotate(cache, source, "PASSWORD", "pw-2")
    assert [] == told
    rotate(cache, source, "USER", "app-2")

    assert [(2, {"user": "app-2", "password": "pw-2"})] == told


def test_a_process_that_starts_between_the_two_finds_the_set_that_belongs_together(cache, source, parts):
    """The member that is ahead is read at the number that the others have."""
    source.add("USER", "app-2")
    group = cache.group(user=parts[0], password=parts[1])

    assert ({"user": "app-1", "password": "pw-1"}, 1) == (dict(group.value), group.version)
    rotate(cache, source, "PASSWORD", "pw-2")
    assert 2 == group.version


def test_a_step_back_of_one_takes_the_others_along(cache, source, group):
    """Where the newest version of one is disabled, all go back to the number that all have."""
    for name, value in (("USER", "app-2"), ("PASSWORD", "pw-2")):
        rotate(cache, source, name, value)
    assert 2 == group.version
    source.disable("PASSWORD", 2)
    push(source, cache)

    assert ({"user": "app-1", "password": "pw-1"}, 1) == (dict(group.value), group.version)


def test_members_without_a_number_in_common_are_no_set(cache, source, parts):
    """It is an error that says what to do, not a mixture."""
    source.add("USER", "app-2")
    source.disable("USER", 1)
    group = cache.group(user=parts[0], password=parts[1])

    with pytest.raises(SecretUnavailable, match="add one to each"):
        _ = group.value


def test_a_look_asks_for_all_members(cache, source, group):
    """Who was refused with a set finds the next one, though no event announced it."""
    source.add("USER", "app-2")
    source.add("PASSWORD", "pw-2")

    assert group.look()
    assert 2 == group.version


def test_no_reader_ever_sees_a_mixture(cache, source, group, parts):
    """While both members change again and again, groups and views show values of one number."""
    wrong, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            value, view = group.value, cache.view()
            seen = {value["user"][4:] == value["password"][3:], view[parts[0]][4:] == view[parts[1]][3:]}
            if seen != {True}:
                wrong.append(dict(value))
            stop.wait(0.0002)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(2, 30):
        pair = [("USER", f"app-{number}"), ("PASSWORD", f"pw-{number}")]
        for name, value in pair if number % 2 else reversed(pair):
            rotate(cache, source, name, value)
    stop.set()
    for reader in readers:
        reader.join(5)

    assert ([], 29) == (wrong, group.version)


def test_a_view_keeps_what_it_has_read(cache, source, group, parts):
    """For the length of a request each value stays; the next request's view has the new one."""
    key = cache.secret("API_KEY")
    view = cache.view()
    assert ("one", 1) == (view[key], view.held(key).version)
    assert "app-1" == view[parts[0]]
    for name, value in (("API_KEY", "two"), ("USER", "app-2"), ("PASSWORD", "pw-2")):
        rotate(cache, source, name, value)

    assert ("one", "app-1", "pw-1") == (view[key], view[parts[0]], view[parts[1]])
    new = cache.view()
    assert ("two", "app-2", "pw-2") == (new[key], new[parts[0]], new[parts[1]])


def test_groups_that_make_no_sense_are_refused(cache, source, parts, tmp_path):
    """One member, one twice, one of two groups, one of another cache."""
    other = SecretCache("any-project", source=source, run_dir=str(tmp_path / "other"))
    cache.group(user=parts[0], password=parts[1])
    key = cache.secret("API_KEY")
    for members in ({"a": key}, {"a": key, "b": key}, {"a": key, "b": parts[0]}, {"a": key, "b": other.secret("USER")}):
        with pytest.raises(ValueError, match="member"):
            cache.group(**members)


def test_a_forked_child_has_groups_of_its_own(cache, source, group):
    """Its locks are new, and it reads for itself."""
    child = os.fork()
    if child == 0:
        os._exit(0 if group.value["password"] == "pw-1" else 1)

    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
