"""`keyturn demo`: its figures, its look, and that nothing of it is left."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from notifier.demo import stage
from notifier.demo.display import can_draw, lines, picture, summary
from notifier.demo.ending import Ended, Ending
from notifier.demo.figures import Figures
from notifier.demo.load import Answer, Load
from notifier.demo.run import run
from notifier.demo.scene import Row, Traffic
from notifier.trace import Counted, Question, report
from tests.entries import NEW, PROJECT, SECRET, rotation


TRACED = report(rotation(1), Question(project=PROJECT, secret=SECRET, now=0, version=NEW, counted=Counted.constant(1)))
HELD = {
    "workers": 2, "milliseconds": [10.0, 30.0], "fetches": 2, "requests": 100, "refused": 3, "forgeries": 3,
    "stepped_back": True, "static_unchanged": True, "trace": TRACED,
}  # fmt: skip


@contextlib.contextmanager
def demo(tmp_path, *args):
    """Run `keyturn demo` with a temporary directory of its own, and see to it that it ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "notifier", "demo", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "TMPDIR": str(tmp_path),
            "KEYTURN_FREEZE": "1",
            "K_SERVICE": "somebody-elses",
        },
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def served_by(tmp_path):
    """The processes that were started with this temporary directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"KEYTURN_RUN_DIR={tmp_path}".encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
    return found


@pytest.mark.timeout(60)
@pytest.mark.promise("acked means done")
def test_the_figures_hold_and_are_printed_as_one_object(tmp_path):
    """`--json` prints one object with all that is promised, exits with 0, and leaves nothing behind."""
    with demo(tmp_path, "--workers", "2", "--json") as process:
        out, told = process.communicate(timeout=25)

    figures = json.loads(out)
    took, trace = figures.pop("propagation_ms"), figures.pop("trace")
    assert ("converged", 2, 2, []) == tuple(
        trace[key] for key in ("verdict", "version", "instances_converged", "stragglers")
    )
    assert trace["added_at"]
    assert 2 == trace["instances"][0]["workers"]
    assert 0 < trace["propagation_ms"]["max"] < 5000
    assert 0 < took["p50"] <= took["max"] < 5000
    assert figures.pop("requests") > 100
    assert {
        "instances": 2,
        "workers": 2,
        "converged": 4,
        "fetches": 4,
        "fetches_of_other_entries": 0,
        "requests_failed": 0,
        "mixed_values": 0,
        "stale_after_ack": 0,
        "pushes_unacknowledged": 0,
        "forged_pushes_accepted": 0,
        "forged_pushes_refused": 3,
        "stepped_back": True,
        "static_unchanged": True,
    } == figures, told
    assert (0, [], []) == (process.returncode, list(tmp_path.iterdir()), served_by(tmp_path))


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("number", "act"),
    [
        (signal.SIGINT, "2. Add"),
        (signal.SIGTERM, "1. Start"),
        pytest.param(signal.SIGINT, "1. Start", marks=pytest.mark.long),
        pytest.param(signal.SIGTERM, "2. Add", marks=pytest.mark.long),
    ],
)
def test_a_signal_in_the_middle_leaves_nothing(tmp_path, number, act):
    """Ctrl-C and SIGTERM end it within seconds: no process, no directory, and the exit status says which it was."""
    with demo(tmp_path, "--workers", "1") as process:
        while act not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(number)
        _, told = process.communicate(timeout=15)

    assert (128 + number, [], []) == (process.returncode, list(tmp_path.iterdir()), served_by(tmp_path))
    assert [f"{signal.Signals(number).name}: ended, and nothing is left running."] == told.splitlines()


@pytest.mark.promise("silent")
def test_plain_output_is_plain_and_shows_no_value(tmp_path, monkeypatch):
    """Where standard output is no terminal there are lines without escape codes, whatever the environment asks for.

    Nor does a proxy that the environment names get between the demo's own processes, and no value of a secret is in
    what the demo says or in what its service logs.
    """
    nobody = "http://127.0.0.1:9"
    env = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "http_proxy": nobody, "https_proxy": nobody}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made, logged, out, err = [], [], io.StringIO(), io.StringIO()
    random, end = stage.secrets.token_hex, stage.processes.end

    def remember(size):
        made.append(random(size))
        return made[-1]

    def read_log(*started):
        end(*started)
        logged.extend(log.read_text() for log in tmp_path.glob("*/*/log"))

    monkeypatch.setattr(stage.secrets, "token_hex", remember)
    monkeypatch.setattr(stage.processes, "end", read_log)

    status = run(1, as_json=False, out=out, err=err, ending=Ending())

    said = out.getvalue()
    assert (0, False, "") == (status, "\x1b" in said, err.getvalue())
    assert re.search(r"worker \d+ serves version 2 after \d+\.\d ms", said)
    assert said.endswith("All of it held. By the log: 1 of 1 instances converged.\n")
    assert ["Booting worker" in log for log in logged] == [True]
    assert 9 == len(made)  # six first versions, two further ones and the key of the marks
    assert [] == [value for value in made if value in said or value in logged[0]]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"milliseconds": [10.0]}, "1 of 2 workers did not follow"),
        ({"other_fetches": 3}, "3 fetches of other entries"),
        ({"requests": 0}, "no request was made"),
        ({"failed": 1}, "1 requests failed"),
        ({"mixed": 1}, "1 answers mixed two versions"),
        ({"stale": 2}, "2 requests were served the old version after the acknowledgement"),
        ({"unacknowledged": 1}, "1 pushes were not acknowledged"),
        ({"forged": 1}, "1 forged pushes were accepted"),
        ({"refused": 2}, "2 of 3 forged pushes were refused"),
        ({"refused": 0, "forgeries": 0}, "0 of 0 forged pushes were refused"),
        ({"stepped_back": False}, "not every worker stepped back"),
        ({"static_unchanged": False}, "the static secret changed"),
        ({"trace": None}, "the log does not tell that all have followed"),
    ],
)
def test_each_figure_can_fail_the_demo(wrong, said):
    """One figure that does not hold is one shortcoming, which is named."""
    assert [] == Figures(**HELD).shortcomings()
    figures = Figures(**{**HELD, **wrong})

    assert [said] == figures.shortcomings()
    assert f"NOT AS PROMISED: {said}" in list(summary(figures))


def test_the_exit_status_is_that_of_the_figures(monkeypatch):
    """A shortcoming is exit status 1."""
    monkeypatch.setattr("notifier.demo.run.set_up", lambda *_: contextlib.nullcontext(_Nothing()))
    monkeypatch.setattr("notifier.demo.run.Load", lambda *_: contextlib.nullcontext())
    for figures, status in [(Figures(**HELD), 0), (Figures(**{**HELD, "failed": 1}), 1)]:
        monkeypatch.setattr("notifier.demo.run.Play", lambda *_, figures=figures, **__: _Played(figures))
        assert status == run(2, as_json=True, out=io.StringIO(), err=io.StringIO(), ending=Ending())


class _Nothing:
    ports, mark = [], None


class _Played:
    def __init__(self, figures):
        self.figures = figures

    def run(self):
        return self.figures


def test_the_load_judges_by_the_answers():
    """A version with another's mark is mixed; an old one in a request that began after the expectation is stale."""
    now = iter(range(100))
    load = Load([], lambda name, version: f"{name}{version}", clock=lambda: next(now))
    load._note(0, Answer(7, {"A": (1, "A1"), "B": (1, "B2")}))
    since = load.expect("A", 2)
    load._note(0, Answer(7, {"A": (1, "A1")}))
    load._note(50, Answer(7, {"A": (1, "A1")}))
    load._note(51, Answer(8, {"A": (2, "A2")}))
    load._note(52, None)

    seen = load.seen
    assert (5, 1, 1, 1) == (seen.requests, seen.failed, seen.mixed, seen.stale)
    assert ({8}, {7, 8}) == (set(load.turned("A", 2)), load.workers())
    assert [1, 1, 0] == [load.serving({7, 8, 9}, "A", 2, since=since), load.serving({7}, "A", 1, since=since),
                         load.serving({8}, "A", 2, since=51)]  # fmt: skip


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"pid": 1}', b'{"pid": 1, "served": {"A": [1]}}', b"\xff"])
def test_what_is_no_answer_is_a_failure(body):
    """A response that does not say who serves what is not counted as an answer."""
    with pytest.raises(ValueError, match=r"."):
        Answer.parse(body)


def test_a_service_that_cannot_start_shows_why(monkeypatch):
    """The last lines of what it printed are shown, and the exit status is 1."""
    monkeypatch.setattr(stage, "NAMES", ("UNKNOWN_KEY",))
    monkeypatch.setattr(stage.LocalCloud, "create_secret", lambda *_, **__: "")
    monkeypatch.setattr(stage.Stage, "add", lambda *_: 1)
    told = io.StringIO()

    assert 1 == run(1, as_json=True, out=io.StringIO(), err=told, ending=Ending())
    assert "The service ended by itself" in told.getvalue()
    assert "SecretUnavailable" in told.getvalue()


def test_a_signal_before_the_start_starts_nothing(monkeypatch):
    """Who presses Ctrl-C while the packages are still being imported gets the same status, and nothing is started."""
    monkeypatch.setattr("notifier.demo.run.set_up", lambda *_: pytest.fail("started"))
    ending, told = Ending(), io.StringIO()
    with ending.heard():
        os.kill(os.getpid(), signal.SIGINT)
        assert 130 == run(1, as_json=True, out=io.StringIO(), err=told, ending=ending)
    assert "SIGINT: ended, and nothing is left running.\n" == told.getvalue()


def test_waits_end_when_somebody_asks_for_the_end():
    """A signal is heard by the next wait, and by every one after it."""
    ending = Ending()
    with ending.heard():
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(2):
            with pytest.raises(Ended, match="SIGTERM") as ended:
                ending.wait(lambda: False, 5)
            assert 143 == ended.value.status
    assert not Ending().wait(lambda: False, 0)


def test_lines_say_what_happened_when():
    """Each line begins with the seconds since the start."""
    out = io.StringIO()
    with lines(out) as scene:
        scene.begin("First")
        scene.turned(7, 2, 12.34)
        scene.end("seen", held=False)

    said = [re.sub(r"^ +\d+\.\d\d s  ", "", line) for line in out.getvalue().splitlines()]
    assert ["1. First", "   worker 7 serves version 2 after 12.3 ms", "   NOT AS PROMISED: seen"] == said


class _Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def test_the_picture_fits_into_80x24(monkeypatch):
    """With all acts played, many workers, and the summary below, the last picture is 24 lines of 80 at most."""
    for name, value in {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = _Terminal()
    with picture(out) as scene:
        for number in range(5):
            scene.begin(f"{number} {'t' * 60}")
            scene.end("o" * 74, held=bool(number))
        for worker in range(32):
            scene.workers[4_000_000 + worker] = Row(1, instance=1 + worker % 8)
            scene.turned(4_000_000 + worker, 2, 1234.5)
        scene.versions = dict.fromkeys(stage.NAMES, (1, 2))
        scene.newest = scene.accesses = dict.fromkeys(stage.NAMES, 32)
        scene.traffic = Traffic(100_000, 1000.0, 1000, 0)

    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue()).rpartition("╭")[2].splitlines()
    assert [] == [line for line in last if len(line) > 80 or "…" in line]
    assert 24 > len(last) + len(list(summary(Figures(**HELD))))
    assert re.search(r"\+27 more +2 +1234\.5", "\n".join(last))


def test_a_picture_is_for_terminals_that_can_show_it(monkeypatch):
    """A dumb terminal, another encoding or no terminal gets lines."""
    monkeypatch.setenv("TERM", "xterm")
    assert can_draw(_Terminal())
    assert not can_draw(io.StringIO())
    assert not can_draw(type("Latin", (_Terminal,), {"encoding": "iso-8859-1"})())
    monkeypatch.setenv("TERM", "dumb")
    assert not can_draw(_Terminal())


@pytest.mark.parametrize("missing", ["gunicorn", "rich"])
def test_a_missing_extra_is_named(missing):
    """Without gunicorn or rich the command says what to install."""
    code = (
        f"import sys; sys.modules[{missing!r}] = None; from notifier.cli import main; sys.argv = ['k', 'demo']; main()"
    )
    began = time.monotonic()
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=20)

    assert (2, "Error: needs `pip install 'keyturn[demo]'`") == (ran.returncode, ran.stderr.strip())
    assert time.monotonic() - began < 10
