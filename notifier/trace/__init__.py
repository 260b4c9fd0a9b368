"""Where a rotation stands, told from log entries: `report` is a pure function from entries to the answer."""

from .answer import Counted, InstanceState, Question, Report, State, Verdict
from .report import report


__all__ = ["Counted", "InstanceState", "Question", "Report", "State", "Verdict", "report"]
