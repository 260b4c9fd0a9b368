"""A worker's membership, within one process."""

import threading
import time

import pytest

from receiver.container import Container
from receiver.knowledge import Knowledge
from receiver.names import SecretName
from receiver.watch import Watch


def test_threads_that_come_after_the_leaving_say_and_make_nothing(tmp_path, caplog):
    """What they would write or claim has no reader here: no error is logged, and no directory made again."""
    told = []
    container = Container(
        "test",
        run_dir=str(tmp_path),
        apply=lambda name, knowledge: True,
        merge=lambda name, knowledge: None,
        tick=lambda: None,
        watch=Watch(),
    )
    container.leave()

    container.tell(
        SecretName("p", "A"),
        Knowledge.version(7, 1_000_000, usable=True),
        deadline=time.monotonic() + 5,
        meanwhile=lambda: told.append("here"),
    )

    assert 30 == container.claim("backstop-a", every=30)
    assert (["here"], [], []) == (told, caplog.messages, list(tmp_path.iterdir()))


@pytest.mark.promise("nobody left behind")
def test_nobody_goes_on_as_a_member_before_what_a_member_needs_has_begun(cache, monkeypatch):
    """A request that comes while another thread joins does not read before this worker stands for election."""
    cache.secret("API_KEY")
    order, others = [], []

    def begin(*_, **__):
        others.append(threading.Thread(target=lambda: (cache.load(), order.append("goes on"))))
        others[0].start()
        others[0].join(0.1)
        order.append("has begun")

    monkeypatch.setattr(cache._presence, "begin", begin)
    cache.fence()
    others[0].join(10)

    assert ["has begun", "goes on"] == order
