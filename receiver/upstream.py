"""What entries reach outside through, and how a source's answers and errors become inputs of the step function."""

import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .entry import Access, Failed, Found, Input, Missing, Refused
from .errors import AccessFailed, ConfigurationError, VersionMissing, VersionRefused
from .names import SecretName
from .source import SecretSource
from .telemetry import Voice


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What entries reach outside through; all of it can be replaced.

    Args:
        source: where values come from.
        clock: monotonic seconds, for deadlines.
        wall: nanoseconds since the epoch, for stamps.
        jitter: a number between 0 and 1 at each call.
        pause: waits for so many seconds.
        environ: where environment fallbacks are.
        observe: whether values are looked at only, never swapped.
        voice: writes the log.
        learned: is told a declared name and the project number that an answer showed, before the answer is used.
    """

    source: SecretSource
    clock: Callable[[], float]
    wall: Callable[[], int]
    jitter: Callable[[], float] = random.random
    pause: Callable[[float], None]
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    observe: bool = False
    voice: Voice = field(default_factory=Voice)
    learned: Callable[[SecretName, str], None]


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of an access.

    Args:
        happened: the input for the step function.
        data: the payload, where one was given.
        trouble: why none was given; names and states only.
    """

    happened: Input
    data: bytes | None = field(default=None, repr=False)
    trouble: str | None = None


def ask(around: Surroundings, name: SecretName, access: Access, *, deadline: float) -> Heard:
    """Carry out an access; never raises.

    Args:
        around: the source and the clocks.
        name: the secret.
        access: what to ask for, and after which pause.
        deadline: monotonic time by which this returns.
    """
    if access.pause:
        around.pause(min(access.pause, max(0.0, deadline - around.clock())))
    left = deadline - around.clock()
    if left <= 0:
        return Heard(Failed(transient=True), trouble="Secret Manager did not answer in time")
    began = around.wall()
    try:
        payload = around.source.access(name, access.version, timeout=left)
        given, data = payload.version, payload.data
        around.learned(name, given.secret.project)
        return Heard(Found(access, given.number, began), data)
    except VersionMissing as exc:
        return Heard(Missing(access), trouble=str(exc))
    except VersionRefused as exc:
        return Heard(Refused(access, began, destroyed=exc.destroyed), trouble=str(exc))
    except AccessFailed as exc:
        return Heard(Failed(transient=exc.transient), trouble=str(exc))
    except ConfigurationError as exc:
        return Heard(Failed(transient=False), trouble=str(exc))
    except Exception as exc:  # noqa: BLE001  # whatever it is, it must not die unheard on a loader's thread
        # Its text may hold anything, a value included.
        return Heard(Failed(transient=False), trouble=f"the source raised {type(exc).__name__}")
