"""Who serves what, told from Cloud Logging's entries by `notifier.trace`."""

import time
from collections.abc import Callable, Mapping
from typing import Final

from ..trace import Counted, Report, Verdict
from ..trace.google_logging import CannotRead
from ..trace.looking import Look
from .plan import Plan
from .retirement import Holding


#: How far back a version may have been added, in nanoseconds: longer than rotations stay open.
_SPAN: Final = 30 * 86_400 * 1_000_000_000


class Traced:
    """Who serves what, as a trace finds it. Thread-safe; a look reads Cloud Logging, page by page.

    Nobody is believed to be missing from the entries only because they do not show him: unless an independent count
    of the instances agrees, what is not known counts as held.

    Args:
        instances: how many run of each service, where that is known; what it does not name is not known.
        wall: nanoseconds since the epoch.
    """

    def __init__(self, instances: Mapping[str, int], *, wall: Callable[[], int] = time.time_ns) -> None:
        self._instances = instances
        self._wall = wall

    def of(self, plan: Plan, version: int) -> Holding:
        """See `Standing.of`."""
        counted = self._counted(plan)
        look = Look(
            plan.secret.project,
            plan.secret.location,
            plan.secret.secret,
            version=version,
            since=_SPAN,
            counted=counted,
        )
        now = self._wall()
        try:
            report = look.report(look.read(now=now), now=now)
        except CannotRead as exc:
            return Holding(nobody=False, why=f"who serves what could not be read: {exc}")
        return Holding(nobody=report.verdict is Verdict.CONVERGED, why=_why(report, counted))

    def _counted(self, plan: Plan) -> Counted | None:
        if not all(service in self._instances for service in plan.services):
            return None
        counts = {service: self._instances[service] for service in plan.services}
        return Counted(counts, counts, by="the manifest")


def _why(report: Report, counted: Counted | None) -> str:
    if report.verdict is Verdict.CONVERGED:
        return f"{report.converged} of {report.total} instances serve version {report.version}"
    who = [
        f"{one.name} serves {', '.join(map(str, one.versions)) or 'what it did not say'}" for one in report.stragglers
    ]
    why = "; ".join([*who[:5], *report.reasons])
    if counted is None:
        why += "; say in the manifest how many instances each service has, or end them with --force"
    return why
