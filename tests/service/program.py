"""A program of `programs.py` in a process of its own, and what the tests hear of it."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, Self

from notifier.local.cloud import LocalCloud

from .harness import PATIENCE, ROOT, environment


class Program:
    """A program says JSON lines, and waits where it wants to be told to go on."""

    def __init__(self, cloud: LocalCloud, name: str, *args: str, env: dict[str, str] | None = None) -> None:
        self.run_dir = tempfile.TemporaryDirectory(prefix="keyturn-test-")
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.service.programs", name, *args],
            cwd=ROOT,
            env=environment(cloud, self.run_dir.name) | (env or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            start_new_session=True,
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self._reader.join(10)
        for end in (self.process.stdin, self.process.stdout, self.log):
            end.close()
        self.run_dir.cleanup()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def output(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def hear(self, patience: float = PATIENCE) -> Any:
        """What it says next."""
        try:
            line = self._lines.get(timeout=patience)
        except queue.Empty:
            raise AssertionError(f"not a word within {patience} s\n{self.output()}") from None
        assert line, f"ended with {self.process.wait(10)}\n{self.output()}"
        return json.loads(line)

    def go_on(self) -> None:
        """Let it go on from where it waits."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self, patience: float = 5.0) -> int:
        """Wait until it has ended by itself; returns its status."""
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still there after {patience} s\n{self.output()}") from None

    def left_in_run_dir(self) -> list[str]:
        return sorted(str(path.relative_to(self.run_dir.name)) for path in Path(self.run_dir.name).rglob("*"))
