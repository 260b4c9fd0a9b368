"""A stream of messages by the official client, opened again where it breaks; the answers travel on it too.

Google's own subscriber asks for a longer lease of what it was sent before it hands it on, in a call for each answer of
the stream. Each event would wait for that call, and a burst for all of them in turn. Here nothing is in hand for longer
than one lease, so it is asked for once, with the stream.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from ..errors import HearingFailed
from ..knowledge import SECOND
from ..threads import spawn
from .failures import passes, told


#: Messages in hand at once; they are a kilobyte each, and a burst of one secret's is one piece of work.
_IN_HAND: Final = 1000
#: How many answers one request carries: as many as Google's subscriber puts into one.
_ANSWERS: Final = 1000
#: Seconds after which the server hears that somebody is there, as from Google's subscriber: it ends idle streams.
_BEAT: Final = 30.0

#: Seconds between the end of a stream that came to nothing and the next: jitter below this, doubling up to the cap.
_FIRST: Final = 0.25
_CAP: Final = 10.0
#: A stream that lasted for so many seconds, longer than gRPC tries to connect, or that brought something, has worked:
#: it is followed at once, since Pub/Sub ends streams as a matter of routine. Without one for as long there is trouble.
_LASTED: Final = 25.0

#: Seconds for the last answers to go out, and for the thread to end.
_LAST: Final = 0.25
_FAREWELL: Final = 1.0


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was pulled.

    Args:
        attributes: Pub/Sub's.
        data: likewise.
        message_id: likewise.
        published: in nanoseconds since the epoch.
        answer: acknowledges it, or asks for it again; to be called once.
    """

    attributes: Mapping[str, str]
    data: bytes
    message_id: str
    published: int
    answer: Callable[[bool], None]


class Stream:
    """Messages on their way here, from now on. Thread-safe.

    Args:
        call: opens a stream, given the requests that it is to carry; what it returns gives answers and can be
            cancelled.
        subscription: the full name.
        lease: seconds within which each message is answered.
        heard: is given each message, on the stream's thread; must be quick.
        clock: monotonic seconds.
        jitter: a number between 0 and 1 at each call.

    Raises:
        RuntimeError: no thread can be started: the process is ending.
    """

    def __init__(
        self,
        call: Callable[[Iterator[Any]], Any],
        *,
        subscription: str,
        lease: int,
        heard: Callable[[Message], None],
        clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self._call = call
        self._subscription = subscription
        self._lease = lease
        self._heard = heard
        self._clock = clock
        self._jitter = jitter
        self._answers: queue.SimpleQueue[tuple[str, bool] | None] = queue.SimpleQueue()
        self._over = threading.Event()
        self._running: Any = None
        self._ended: BaseException | None = None
        self._worked = self._began = clock()
        self._broke: BaseException | None = None
        self._thread = spawn(self._run, name="stream")

    @property
    def failure(self) -> HearingFailed | None:
        """Why it has ended for good; None while messages come, or are about to again."""
        return told("pull", self._ended) if self._ended is not None else None

    @property
    def trouble(self) -> HearingFailed | None:
        """Why nothing has come for a while, though streams are opened again and again; None where that is not so."""
        broke = self._broke
        if broke is None or self._lasted() or self._clock() - self._worked < _LASTED:
            return None
        return told("pull", broke)

    def _lasted(self) -> bool:
        return self._clock() - self._began >= _LASTED

    def close(self) -> None:
        """End it, within a second or so; what was answered is told before."""
        self._over.set()
        self._answers.put(None)
        self._thread.join(_LAST)
        running = self._running
        if running is not None:
            running.cancel()
        self._thread.join(_FAREWELL)

    def _run(self) -> None:
        pause = 0.0
        while not self._over.wait(pause):
            self._began = self._clock()
            try:
                self._read()
                broke: BaseException = HearingFailed("cannot pull: the server ends its streams at once")
            except BaseException as exc:  # noqa: BLE001  # the client's, grpc's, google-auth's; or a greenlet's end
                if not (passes(exc) or self._over.is_set()):
                    self._ended = exc
                    return
                broke = exc
            if self._lasted() or self._worked > self._began:
                self._worked, self._broke, pause = self._clock(), None, 0.0
            else:
                self._broke, pause = broke, self._pause(pause)

    def _pause(self, last: float) -> float:
        return min(_CAP, max(_FIRST, 2 * last)) * (0.5 + self._jitter() / 2)

    def _read(self) -> None:
        ended = threading.Event()
        try:
            self._running = self._call(self._requests(ended))
            if self._over.is_set():  # `close` may have looked before
                self._running.cancel()
            for answer in self._running:
                self._worked, self._broke = self._clock(), None
                for received in type(answer).pb(answer).received_messages:
                    self._heard(self._message(received))
        finally:
            ended.set()
            self._answers.put(None)  # wakes whoever waits for more to send

    def _message(self, received: Any) -> Message:
        message = received.message
        published = message.publish_time.seconds * SECOND + message.publish_time.nanos
        answer = partial(self._answer, received.ack_id)
        return Message(dict(message.attributes), message.data, message.message_id, published, answer)

    def _answer(self, lease: str, done: bool) -> None:
        self._answers.put((lease, done))

    def _requests(self, ended: threading.Event) -> Iterator[Any]:
        """What is sent: who pulls, then the answers, also those that a stream before had no time for."""
        from google.pubsub_v1.types import StreamingPullRequest

        yield StreamingPullRequest(
            subscription=self._subscription,
            stream_ack_deadline_seconds=self._lease,
            max_outstanding_messages=_IN_HAND,
        )
        while not ended.is_set():
            answers = self._next_answers()
            if ended.is_set():
                for answer in answers:
                    self._answers.put(answer)
                return
            if self._over.is_set() and not answers:
                return
            refused = [lease for lease, done in answers if not done]
            yield StreamingPullRequest(
                ack_ids=[lease for lease, done in answers if done],
                modify_deadline_ack_ids=refused,
                modify_deadline_seconds=[0] * len(refused),
            )

    def _next_answers(self) -> list[tuple[str, bool]]:
        """Those that wait, or the first that comes; none after a while, or where somebody wakes this up."""
        answers: list[tuple[str, bool]] = []
        timeout = 0.0 if self._over.is_set() else _BEAT
        try:
            while len(answers) < _ANSWERS:
                answer = self._answers.get(timeout=timeout)
                timeout = 0.0
                if answer is not None:
                    answers.append(answer)
        except queue.Empty:
            pass
        return answers
