"""`keyturn trace`: from Cloud Logging by the official client, from files, and while one watches."""

import json
import re
import stat
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from google.cloud.logging_v2.types import LogEntry

from notifier.cli import keyturn
from notifier.trace import Counted, Verdict
from notifier.trace.files import LONGEST, read
from notifier.trace.google_logging import CannotRead
from notifier.trace.looking import Look, follow
from notifier.trace.page import page
from notifier.trace.showing import Shower
from notifier.trace.words import lines
from tests.entries import NEW, OLD, PROJECT, SECOND, SECRET, T0, audit, moved, rotation, said


HOUR = 3600 * SECOND
EVER = "99999d"
#: What somebody may have called an instance to mislead whoever reads of it.
HOSTILE = "payments-9\x1b]0;owned\x07\x1b[2J\u202e<script>alert(1)</script>\"'&\n\x9b31m"


@pytest.fixture
def run(monkeypatch):
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)

    def command(*args, given=None):
        return CliRunner().invoke(keyturn, ["trace", *args], input=given, prog_name="keyturn")

    return command


def file_of(tmp_path, entries):
    path = tmp_path / "entries.jsonl"
    path.write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))
    return str(path)


def local(entry, now):
    """An entry of now, as a line that a service prints."""
    shift = (now - T0) // SECOND * SECOND
    payload = dict(entry["jsonPayload"])
    payload["secret"] = f"projects/demo/secrets/{SECRET}"
    seconds = T0 + shift
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds // SECOND))
    return json.dumps({**payload, "time": f"{at}.5Z", "severity": "INFO"})


class TestFiles:
    def test_exit_status_says_where_it_stands(self, run, tmp_path):
        """0 where all have it, 3 where not all or unknown, 2 where it could not be looked."""
        path = file_of(tmp_path, rotation(2))
        asked = [SECRET, "--project", PROJECT, "--since", EVER, "--from", path]
        behind = file_of(tmp_path / ".." / tmp_path.name, [*rotation(2)])

        assert 0 == run(*asked, "--instances", "2").exit_code
        assert 3 == run(*asked).exit_code
        assert 3 == run(*asked, "--instances", "3").exit_code
        assert 2 == run(*asked[:-1], str(tmp_path / "none")).exit_code
        assert 2 == run(SECRET, "--from", behind).exit_code
        assert 2 == run("not a name", "--project", PROJECT, "--from", path).exit_code
        assert 2 == run(*asked, "--watch").exit_code

    @pytest.mark.parametrize("form", ["lines", "array", "pretty", "printed"])
    def test_every_form_of_a_file(self, run, form):
        """A sink's lines, gcloud's array, and what services print themselves, from standard input too."""
        entries = rotation(2)
        if form == "printed":
            entries = [entries[0], *({**e["jsonPayload"], "time": e["timestamp"]} for e in entries[1:])]
        text = {
            "array": json.dumps(entries),
            "pretty": json.dumps(entries, indent=2),
        }.get(form, "\n\n".join(map(json.dumps, entries)))
        asked = ["--project", PROJECT, "--since", EVER, "--instances", "2", "--json", "--from", "-"]
        done = run(SECRET, *asked, given=text)

        assert (0, "converged") == (done.exit_code, json.loads(done.stdout)["verdict"])

    @pytest.mark.parametrize("fast", [True, False])
    def test_garbage_is_counted_and_passed_over(self, run, tmp_path, monkeypatch, fast):
        """A line that is no JSON, is too long, too deep or of bad bytes ends nothing, whatever reads it."""
        if not fast:
            monkeypatch.setitem(sys.modules, "orjson", None)
        path = tmp_path / "log"
        deep = [b"[" * 100_000, b'{"a": ' * 50_000]
        garbage = [b"plain text", b"{", *deep, b"\xff\xfe{}", b"1" * 5000, b"x" * (3 * LONGEST)]
        good = [json.dumps(entry).encode() for entry in rotation(2)]
        path.write_bytes(b"\n".join([garbage[0], *good, *garbage[1:], b"null", b'"text"', b"[]", b"{}"]))
        done = run(SECRET, "--project", PROJECT, "--since", EVER, "--instances", "2", "--json", "--from", str(path))
        found = json.loads(done.stdout)

        assert ("converged", len(garbage) + 3) == (found["verdict"], found["entries"]["unreadable"])

    @pytest.mark.parametrize("text", [b"[", b"[{", b'[{"a": 1}, nonsense', b"[1,2", b"[" + b"9" * (LONGEST + 9)])
    def test_an_array_that_is_broken_off(self, text, tmp_path):
        """What was whole is read; the rest is one that cannot be."""
        path = tmp_path / "log"
        path.write_bytes(text)
        with path.open("rb") as stream:
            found = list(read(stream))

        assert found.count(None) <= 1

    def test_counts_that_cannot_be(self, run, tmp_path):
        """A number, or one for each service."""
        path = file_of(tmp_path, rotation(2))
        asked = [SECRET, "--project", PROJECT, "--since", EVER, "--from", path]
        for wrong in (["x"], ["a=b"], ["-1"], ["2", "payments=2"], ["a=1", "a=2"]):
            assert 2 == run(*asked, *(part for text in wrong for part in ("--instances", text))).exit_code
        assert 0 == run(*asked, "--instances", "payments=2").exit_code

    def test_a_full_name_says_the_project(self, run, tmp_path):
        """Whoever gives the secret's full name need not say the project again."""
        path = file_of(tmp_path, rotation(2))
        name = f"projects/{PROJECT}/secrets/{SECRET}"

        assert 0 == run(name, "--since", EVER, "--from", path, "--instances", "2").exit_code

    def test_the_commands_of_the_readme(self, run, tmp_path, monkeypatch):
        """Each is one that the command takes; here they read a file, where the README's read Cloud Logging."""
        readme = (Path(__file__).parents[2] / "README.md").read_text()
        commands = re.findall(r"^keyturn trace (.+)$", readme, re.MULTILINE)
        path = file_of(tmp_path, rotation(18))
        monkeypatch.chdir(tmp_path)
        (tmp_path / "entries.json").write_text(json.dumps(rotation(18)))
        for command in commands:
            words = [word for word in command.split() if word != "--watch"]
            words += [] if "--from" in words else ["--from", path]
            assert run(*words, "--project", PROJECT, "--since", EVER).exit_code in (0, 3), command

        assert 5 == len(commands)
        assert (tmp_path / "postmortem.html").exists()


class TestWords:
    def report(self, *more):
        entries = [*rotation(2), said("loaded", T0 - 180 * SECOND, instance=HOSTILE, version=OLD), *more]
        look = Look(PROJECT, "", SECRET, version=None, since=HOUR, counted=Counted.constant(4))
        return look.report(entries, now=T0 + 60 * SECOND)

    def test_a_person_reads_who_is_behind(self):
        """How many, which one with what and since when, why, and what to do."""
        text = "\n".join(lines(self.report()))

        assert f"2 of 4 instances on version {NEW}, p50 1.0 s, slowest 1.1 s" in text
        assert f"still on {OLD}, last sign 4 min ago" in text
        assert "silent since before the version was added" in text
        assert "next: see whether it runs" in text
        assert "added by alice@example.com from 203.0.113.7" in text
        assert "1 counted that said nothing" in text

    def test_nothing_in_a_name_moves_a_cursor(self):
        """Controls, escapes and marks that turn text around are spelt out."""
        text = "".join(lines(self.report()))

        assert text.isprintable()
        assert "payments-9\\u001b]0;owned\\u0007" in text
        assert "\\u202e" in text

    def test_nothing_in_a_name_is_markup(self):
        """The page shows it as text, and its own policy forbids whatever might slip through."""
        hostile = [
            audit("AccessSecretVersion", OLD, T0 + SECOND, by=HOSTILE),
            moved(HOSTILE + "2", path='"><img src=x onerror=alert(1)>'),
            said("held_back", T0 + SECOND, instance=HOSTILE, version=OLD, message="held_back: </p><script>"),
        ]
        text = page(self.report(*hostile))
        body = text.split("<body>", 1)[1]

        assert "<script" not in body
        assert "<img" not in body
        assert "default-src 'none'" in text
        assert "\x1b" not in text
        assert "&lt;script&gt;alert(1)" in body

    def test_a_page_holds_all_that_it_needs(self):
        """It loads nothing, and shows the verdict, each instance, and who is missing."""
        text = page(self.report())

        assert "http" not in text.replace("http-equiv", "")
        assert "src=" not in text
        for part in ("behind", "payments-0", "payments-1", "1 counted that said nothing", "alice@example.com"):
            assert part in text

    def test_a_page_is_private(self, run, tmp_path):
        """Who ran which secret where is nobody else's business."""
        out = tmp_path / "report.html"
        path = file_of(tmp_path, rotation(2))
        run(SECRET, "--project", PROJECT, "--since", EVER, "--from", path, "--html", str(out))

        assert 0o600 == stat.S_IMODE(out.stat().st_mode)
        assert out.read_text().startswith("<!doctype html>")
        missing = str(tmp_path / "no" / "such.html")
        assert 2 == run(SECRET, "--project", PROJECT, "--from", path, "--html", missing).exit_code

    def test_a_report_of_nothing(self):
        """Without an entry there is nothing to tell, in words as on the page."""
        look = Look(PROJECT, "", SECRET, version=None, since=HOUR, counted=None)
        found = look.report([], now=T0)

        assert "no version was found" in "".join(lines(found))
        assert "no version was found" in page(found)


class Terminal:
    def __init__(self, *, tty):
        self.tty, self.text = tty, ""

    def isatty(self):
        return self.tty

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_what_changes_is_shown():
    """A terminal is drawn over; a log gets a line for each change, and none twice."""
    look = Look(PROJECT, "", SECRET, version=None, since=HOUR, counted=Counted.constant(2))
    first, second = (look.report(entries, now=T0) for entries in (rotation(2)[:1], rotation(2)))
    screen, log = Terminal(tty=True), Terminal(tty=False)
    for found in (first, second, second):
        Shower(log)(found)
    shower, told = Shower(screen), Shower(log)
    log.text = ""
    for found in (first, second, second):
        shower(found)
        told(found)

    assert ["unknown", "converged"] == [line.split(":")[0] for line in log.text.splitlines()]
    assert 2 == screen.text.count("\x1b[J")


class TestCloudLogging:
    """Against the local Logging, by Google's client."""

    @pytest.fixture
    def logged(self, cloud, monkeypatch):
        """A secret of which a new version was added, and what two receivers wrote."""
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        cloud.create_secret(SECRET, b"one")
        cloud.add_version(SECRET, b"two")
        return cloud

    def printed(self, cloud, *entries):
        cloud.logging.take_lines([local(entry, time.time_ns()) for entry in entries], service="payments")

    def look(self, cloud, number=2, **more):
        more = {"version": None, "since": HOUR, "counted": Counted.constant(number)} | more
        return Look(cloud.project, "", SECRET, **more)

    def test_the_command_reads_it(self, logged, run):
        """Audit entries and receivers' entries come from one question; the add is told with who did it."""
        self.printed(logged, *(moved(f"p-{n}", version=2, previous=1) for n in range(2)))
        done = run(SECRET, "--project", "demo", "--instances", "2", "--json")
        found = json.loads(done.stdout)

        assert (0, "converged", 2) == (done.exit_code, found["verdict"], found["version"])
        assert found["added_by"] is None or "@" in found["added_by"]
        assert found["added_at"]
        assert found["entries"]["audit"] >= 2

    def test_pages_are_read_to_the_end(self, logged, monkeypatch):
        """However many pages there are, and each is reported."""
        monkeypatch.setattr("notifier.trace.google_logging._PAGE", 2)
        self.printed(logged, *(moved(f"p-{n}", version=2, previous=1) for n in range(5)))
        seen = []
        now = time.time_ns()
        entries = list(self.look(logged).read(logged.logging_client(), now=now, paged=lambda *page: seen.append(page)))

        assert Verdict.CONVERGED is self.look(logged, 5).report(entries, now=now).verdict
        assert [(n + 1, min(2 * n + 2, len(entries))) for n in range((len(entries) + 1) // 2)] == seen

    def test_a_name_that_begins_alike_is_another(self, logged):
        """Half a name selects; what is read is looked at."""
        logged.create_secret(f"{SECRET}_2", b"x")
        now = time.time_ns()
        found = self.look(logged).report(self.look(logged).read(logged.logging_client(), now=now), now=now)

        assert 2 == found.version
        assert {1, 2} == {act.version for act in found.acts}

    def test_news_that_could_not_be_published(self, logged):
        """Who is behind because the secret's topic is gone is told so, from Secret Manager's own entry."""
        topic = {"name": logged.create_topic("news")}
        secret = {"name": logged.secret(SECRET), "topics": [topic]}
        logged.secret_manager_client().update_secret(request={"secret": secret, "update_mask": {"paths": ["topics"]}})
        self.printed(logged, said("loaded", T0, instance="p-0", version=2, path="start"))
        logged.publisher().delete_topic(topic=topic["name"])
        logged.add_version(SECRET, b"three")
        now = time.time_ns()
        found = self.look(logged).report(self.look(logged).read(logged.logging_client(), now=now), now=now)

        assert (3, Verdict.BEHIND) == (found.version, found.verdict)
        assert "could not publish the news" in found.stragglers[0].cause

    def test_watching_ends_when_all_have_it(self, logged):
        """Each look adds what came since the last; a straggler is awaited."""
        self.printed(logged, moved("p-0", version=2, previous=1))
        shown = []

        def pause(_):
            self.printed(logged, moved("p-1", version=2, previous=1))

        found = follow(
            self.look(logged),
            shown.append,
            timeout=HOUR,
            wall=time.time_ns,
            pause=pause,
            logging=logged.logging_client(),
        )

        assert [Verdict.UNKNOWN, Verdict.CONVERGED] == [one.verdict for one in shown]
        assert shown[-1] is found

    def test_watching_ends_in_time_or_when_somebody_ends_it(self, logged):
        """It returns what it knows by then."""
        clock = iter(range(0, 10 * HOUR, HOUR // 2))
        began = time.time_ns()

        def interrupted(_):
            raise KeyboardInterrupt

        for wall, pause in ((lambda: began + next(clock), lambda _: None), (time.time_ns, interrupted)):
            found = follow(
                self.look(logged), lambda _: None, timeout=HOUR, wall=wall, pause=pause, logging=logged.logging_client()
            )
            assert Verdict.UNKNOWN is found.verdict

    def test_who_cannot_read_is_told_what_it_takes(self, logged, run, monkeypatch):
        """No answer, or a refusal: one line, exit status 2."""
        logged.logging.stop()
        monkeypatch.setattr("notifier.trace.google_logging._PATIENCE", 0.2)
        done = run(SECRET, "--project", "demo")

        assert (2, 1) == (done.exit_code, done.stderr.count("\n"))
        assert "roles/logging.viewer" in done.stderr
        with pytest.raises(CannotRead):
            list(self.look(logged).read(logged.logging_client(), now=time.time_ns()))

    def test_another_projects_services_are_read_too(self, logged):
        """A service in another project that uses the secret logs there."""
        entry = LogEntry(
            log_name="projects/demo-services/logs/stdout",
            json_payload=json.loads(local(moved("q-0"), time.time_ns())),
            resource={"type": "global", "labels": {"project_id": "demo-services"}},
        )
        logged.logging_client().write_log_entries(entries=[entry])
        counts = [
            len(list(self.look(logged, others=others).read(logged.logging_client(), now=time.time_ns())))
            for others in ((), ("demo-services",))
        ]

        assert counts[0] + 1 == counts[1]
