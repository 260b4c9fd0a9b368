"""The main job under uvicorn: several worker processes, each an event loop, and one push reaches them all."""

import os
import signal

import pytest

from tests.envelopes import AUDIT, audit, binary, structured

from .harness import AsgiService, body_for


pytestmark = pytest.mark.timeout(60)


@pytest.mark.promise("targeted")
@pytest.mark.promise("acked means done")
@pytest.mark.parametrize("workers", [2, 1])
def test_an_acknowledged_push_means_every_worker_serves_the_new_version(running, workers):
    """Once the push is acknowledged every worker answers with the new version, one fetch by number each."""
    wired = running(kind=AsgiService, workers=workers)

    for _ in range(2):
        number = wired.add()
        wired.wait_acknowledged()
        found = wired.service.all_serve("API_KEY", number)
        assert {f"API_KEY-{number}"} == {answer["API_KEY"][1] for answer in found.values()}

    assert {("API_KEY", "2"), ("API_KEY", "3")} == set(wired.accesses())
    assert 2 * workers == len(wired.accesses())


@pytest.mark.promise("acked means done")
@pytest.mark.parametrize("mode", [binary, pytest.param(structured, marks=pytest.mark.long)])
def test_an_audit_entry_without_a_number_reaches_every_worker(running, mode):
    """Eventarc's entry says that a version came but not which; when it is answered, both workers serve it."""
    wired = running(kind=AsgiService, workers=2)
    wired.cloud.subscriber().modify_push_config(subscription=wired.subscription, push_config={})  # nothing is pushed
    wired.cloud.add_version("OTHER_KEY", b"OTHER_KEY-2")
    headers, body = mode(AUDIT, audit(name=wired.cloud.secret("OTHER_KEY")))

    assert 204 == wired.service.push(body, {**headers, "Authorization": f"Bearer {wired.token()}"})
    wired.service.all_serve("OTHER_KEY", 2)


@pytest.mark.promise("nobody left behind")
def test_a_stopped_worker_is_current_at_its_first_request(running):
    """A worker that was stopped during the push catches up before its next request is answered."""
    wired = running(kind=AsgiService, workers=2)
    stopped = next(iter(wired.service.reach_all(2)))
    os.kill(stopped, signal.SIGSTOP)
    wired.add()
    wired.wait_acknowledged()

    os.kill(stopped, signal.SIGCONT)
    found = wired.service.all_serve("API_KEY", 2)

    assert stopped in found


@pytest.mark.promise("only the sender")
@pytest.mark.promise("acked means done")
def test_strangers_and_garbage_get_the_same_answers(running):
    """No token: 401 before the body is read; from the real sender anything at all is acknowledged and said."""
    wired = running(kind=AsgiService, workers=1)
    token = wired.token()
    headers = {"Authorization": f"Bearer {token}"}
    bodies = [b"", b"canary-body", b"canary-body" * 10_000, body_for({})]

    assert [401, 401] == [wired.service.push(body, {}) for body in (b"canary-body", b"x" * 1_000_000)]
    assert [204] * 4 == [wired.service.push(body, headers) for body in bodies]
    output = wired.service.output()
    assert ([], True) == (wired.accesses(), "push_unreadable" in output)
    assert not [canary for canary in ("canary-body", token, "Traceback") if canary in output]
