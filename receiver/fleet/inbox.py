"""Messages in hand: those of one secret are applied together, one run at a time, and then answered.

However fast versions come, a run takes what has come since the last one and fetches the newest only. A run may be put
off by up to `spread` seconds, by chance, so that ten thousand instances do not ask in the same moment. What a message
says is known as soon as it comes, so that what is under way does not end with less: of a disabling and the enabling
after it, say, which a new subscription brings while this worker starts.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ..errors import Answer, UnreadablePush
from ..events import SecretEvent, decode_message
from ..intake import Intake
from ..knowledge import Knowledge
from ..names import SecretName
from ..telemetry import Voice
from ..threads import spawn
from .stream import Message


#: Seconds for one run; it is renewed while it waits, so this bounds the wait for siblings and for Secret Manager alone.
DEADLINE: Final = 6.0


@dataclass(slots=True)
class _Batch:
    """What has come of one secret, and when it is due."""

    due: float
    messages: list[tuple[SecretEvent, Message]] = field(default_factory=list)


class Inbox:
    """Take messages in, apply them, and answer. Thread-safe.

    Args:
        intake: applies events.
        voice: writes the log.
        concerns: whether an event of a secret is this service's business.
        tell: takes in what an event says of a secret, without acting on it; memory only.
        spread: seconds.
        clock: monotonic seconds.
        jitter: a number between 0 and 1 at each call.
    """

    def __init__(
        self,
        intake: Intake,
        *,
        voice: Voice,
        concerns: Callable[[SecretName], bool],
        tell: Callable[[SecretName, Knowledge], None],
        spread: float,
        clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self._intake = intake
        self._voice = voice
        self._concerns = concerns
        self._tell = tell
        self._spread = spread
        self._clock = clock
        self._jitter = jitter
        self.after_fork()

    def after_fork(self) -> None:
        """In a forked child: nothing is in hand. Memory only."""
        self._lock = threading.Lock()
        self._waiting: dict[SecretName, _Batch] = {}
        self._running: set[SecretName] = set()

    def put(self, message: Message) -> None:
        """Take a message in; quick, so it may be called on the client's thread."""
        try:
            event = decode_message(
                message.attributes, message.data, message_id=message.message_id, published=message.published
            )
        except UnreadablePush as exc:
            self._voice(logging.ERROR, "push_unreadable", str(exc), path="pull")
            message.answer(True)
            return
        news = event.knowledge()
        if event.secret is None or news is None or not self._concerns(event.secret):
            self._answer([(event, message)])
            return
        self._tell(event.secret, news)
        with self._lock:
            batch = self._waiting.get(event.secret)
            if batch is None:
                batch = self._waiting[event.secret] = _Batch(self._clock() + self._spread * self._jitter())
            batch.messages.append((event, message))
        self.tick()

    def tick(self) -> None:
        """Begin the runs that are due; to be called often where there is a spread. Never waits."""
        now = self._clock()
        with self._lock:
            due = [name for name, batch in self._waiting.items() if batch.due <= now and name not in self._running]
            self._running.update(due)
        for name in due:
            try:
                spawn(lambda name=name: self._run(name), name="pulled")  # type: ignore[misc]  # bound now
            except RuntimeError:  # out of threads: the next tick tries again
                with self._lock:
                    self._running.discard(name)

    def _run(self, name: SecretName) -> None:
        try:
            while messages := self._due(name):
                self._answer(messages)
        finally:
            with self._lock:
                self._running.discard(name)
        self.tick()  # for what came between the last look and the end

    def _due(self, name: SecretName) -> list[tuple[SecretEvent, Message]]:
        with self._lock:
            batch = self._waiting.get(name)
            if batch is None or batch.due > self._clock():
                return []
            return self._waiting.pop(name).messages

    def _answer(self, messages: list[tuple[SecretEvent, Message]]) -> None:
        answers = [Answer.TRY_AGAIN] * len(messages)
        try:
            answers = self._intake.take_all([event for event, _ in messages], deadline=self._clock() + DEADLINE)
        finally:
            for (_, message), answer in zip(messages, answers, strict=True):
                message.answer(answer is not Answer.TRY_AGAIN)
