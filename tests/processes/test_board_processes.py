"""The board between real processes: nothing is lost, nobody is held up, whoever dies where."""

import pytest


def test_concurrent_writers_lose_nothing(workers):
    """Eight processes that publish at once leave every word of each on the board."""
    team = workers(8, attend=False)
    for index, worker in enumerate(team):
        worker.tell("publish_all", ["A", "B"], [1 + index + 8 * turn for turn in range(4)])
    for worker in team:
        worker.answer()

    assert list(range(1, 33)) == team[0]("request", "A") == team[7]("request", "B")


@pytest.mark.promise("acked means done")
def test_a_request_after_a_publish_sees_it(workers):
    """A request that starts after a publish has returned knows what was published, however busy the board is."""
    writer, reader, *others = workers(4, attend=False)
    for other in others:
        other.tell("publish_all", ["A", "B"], [1] * 1000)
    for number in range(2, 32):
        writer("publish", "A", number)

        assert number in reader("request", "A")
    for other in others:
        other.answer()


def test_a_writer_that_dies_before_the_bump(workers):
    """A word whose writer was killed before it moved the generation is seen once anybody publishes it again."""
    first, second, reader = workers(3, attend=False)
    assert [] == reader("request", "A")
    first.tell("publish_and_die_before_the_bump", "A", 7)
    first.process.wait(15)
    assert [] == reader("request", "A")

    assert [7] == second("publish", "A", 7)
    assert [7] == reader("request", "A")


def test_a_full_disk_leaves_the_old_word(workers, files):
    """A publish that cannot be written says so, leaves what was there whole, and leaves no draft."""
    worker, reader = workers(2, attend=False)
    worker("publish", "A", 1)
    before = files()

    assert {"error": "BoardError"} == worker("publish_on_a_full_disk", "A", 2)
    assert before == files()
    assert [1] == reader("request", "A")
    assert [1, 2] == worker("publish", "A", 2)


def test_a_stopped_lock_holder_bounds_the_others(workers):
    """A process stopped while it holds the lock costs a publish a second, the next one hardly anything."""
    holder, other = workers(2, attend=False)
    holder("hold_lock")
    holder.stop()

    outcome, seconds = other("timed_publish", "A", 1)
    assert "refused" == outcome
    assert 0.9 < seconds < 2
    outcome, seconds = other("timed_publish", "A", 1)
    assert "refused" == outcome
    assert seconds < 0.5

    holder.go_on()
    holder("release_lock")
    assert "published" == other("timed_publish", "A", 1)[0]


def test_a_killed_lock_holder_frees_the_lock(workers):
    """The lock of a process that is killed is free at once."""
    holder, other = workers(2, attend=False)
    holder("hold_lock")
    other.tell("timed_publish", "A", 1)
    holder.kill()

    outcome, seconds = other.answer()
    assert "published" == outcome
    assert seconds < 1


def test_a_childs_lock_is_its_own(workers):
    """A forked child that publishes and lives on neither holds nor drops its parent's lock."""
    parent, other = workers(2, attend=False)
    workers.reap(parent("fork"))
    parent("hold_lock")
    assert "refused" == other("timed_publish", "A", 1)[0]
    parent.kill()

    assert "published" == other("timed_publish", "A", 1)[0]
    assert [1] == other("request", "FROM_CHILD")
