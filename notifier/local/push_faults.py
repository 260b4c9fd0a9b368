"""What goes wrong with pushes, on demand: by count, or by a plan."""

import threading
from collections import defaultdict

from .fault_plan import FaultPlan, PushFault, check_count


class PushFaults:
    """The faults of the pushes still to come, by subscription. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # How many more pushes meet a fault, None for all.
        self._wanted: defaultdict[str, dict[PushFault, int | None]] = defaultdict(dict)
        self._plan: FaultPlan | None = None

    def want(self, subscription: str, fault: PushFault, *, times: int | None) -> None:
        """Let the next `times` pushes of a subscription meet the fault, None until `clear`.

        Raises:
            ValueError: that cannot be.
        """
        if times is not None:
            check_count(times)
        with self._lock:
            self._wanted[subscription][fault] = times

    def follow(self, plan: FaultPlan | None) -> None:
        """Let pushes meet what the plan says; None ends it."""
        with self._lock:
            self._plan = plan

    def clear(self) -> None:
        """End all faults."""
        with self._lock:
            self._wanted.clear()
            self._plan = None

    def next(self, subscription: str, message: str, attempt: int) -> PushFault | None:
        """What the push that is about to go out meets; None where it may succeed."""
        with self._lock:
            wanted = self._wanted.get(subscription, {})
            for fault, times in list(wanted.items()):
                if times is not None:
                    wanted[fault] = times - 1
                if wanted[fault] == 0:
                    del wanted[fault]
                return fault
            plan = self._plan
        return plan.push(subscription, message, attempt) if plan else None
