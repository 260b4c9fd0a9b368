"""`keyturn trace`: where a rotation stands, told from log entries."""

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click


if TYPE_CHECKING:
    from .answer import Counted, Report

#: Exit statuses: all have it; not all, or it is not known; it could not be looked.
ALL, NOT_ALL, COULD_NOT_LOOK = 0, 3, 2

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SECRET: Final = re.compile(
    r"(?:projects/(?P<project>[a-z0-9][a-z0-9:.-]{0,62})(?:/locations/(?P<location>[a-z0-9-]{1,63}))?/secrets/)?"
    r"(?P<secret>[A-Za-z0-9_-]{1,255})"
)
_SECOND: Final = 1_000_000_000


class CannotLook(click.ClickException):
    """The command cannot run as it was asked to: one line, exit status 2."""

    exit_code = COULD_NOT_LOOK


class _Span(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """A length of time: 90s, 30m, 1h, 7d; in nanoseconds."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = re.fullmatch(r"([0-9]{1,6})([smhd])", str(value), re.ASCII)
        if found is None:
            self.fail("a number and s, m, h or d: 30m, 1h, 7d.", param, ctx)
        return int(found[1]) * _UNITS[found[2]] * _SECOND


def _counted(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for text in given:
        service, _separator, number = text.rpartition("=")
        if re.fullmatch(r"[0-9]{1,7}", number, re.ASCII) is None or service in counted:
            raise click.BadParameter("give a number, or once for each service SERVICE=NUMBER.")
        counted[service] = int(number)
    if "" in counted and len(counted) > 1:
        raise click.BadParameter("give one number for all services, or one for each.")
    return counted


@click.command()
@click.argument("secret")
@click.option("--project", envvar="GOOGLE_CLOUD_PROJECT", help="The secret's project [GOOGLE_CLOUD_PROJECT].")
@click.option("--location", default="", help="Region of a regional secret.")
@click.option("--service-project", "others", multiple=True, help="Another project whose services use the secret.")
@click.option("--version", type=click.IntRange(1), help="Which version; the newest usable one that was added.")
@click.option("--since", type=_Span(), default="1h", show_default=True, help="Look at what was added since.")
@click.option(
    "--instances",
    multiple=True,
    callback=_counted,
    help="How many instances run (and ran when it was added): NUMBER, or SERVICE=NUMBER for each.",
)
@click.option(
    "--from",
    "file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="Read a file of entries (- for standard input).",
)
@click.option("--watch", is_flag=True, help="Follow until all have it.")
@click.option("--timeout", type=_Span(), default="1h", show_default=True, help="How long to watch.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write one page for a browser.")
def trace(
    *,
    secret: str,
    project: str | None,
    location: str,
    others: tuple[str, ...],
    version: int | None,
    since: int,
    instances: dict[str, int],
    file: str | None,
    watch: bool,
    timeout: int,
    as_json: bool,
    html: Path | None,
) -> None:
    """Say which instances serve the newest version of a SECRET, and which do not, by name.

    It reads the audit log and the services' own entries: from Cloud Logging, from `keyturn dev` where
    LOGGING_EMULATOR_HOST is set, or from a file. The exit status is 0 where all have it, 3 where not all have or it is
    not known, 2 where it could not be looked. Without --instances it is never known that nobody is missing.
    """
    from .looking import Look, follow
    from .showing import Shower

    named = _named(secret, project, location)
    if watch and file is not None:
        raise click.UsageError("--watch follows Cloud Logging; a file does not change.")
    look = Look(*named, version=version, since=since, counted=_count(instances), others=others)
    wall, shower = time.time_ns, Shower(sys.stderr)
    if file is not None:
        from .files import read

        with click.open_file(file, "rb") as stream:
            report = look.report(read(stream), now=wall())
    else:
        with _told_plainly():
            if watch:
                report = follow(look, shower, timeout=timeout, wall=wall, pause=time.sleep)
            else:
                report = look.report(look.read(now=wall(), paged=_tell_pages), now=wall())
    shower.clear()
    _write(report, as_json=as_json, html=html)
    sys.exit(ALL if report.verdict.value == "converged" else NOT_ALL)


def _named(secret: str, project: str | None, location: str) -> tuple[str, str, str]:
    found = _SECRET.fullmatch(secret)
    if found is None:
        raise click.BadParameter("a secret's id, or its full name.", param_hint="SECRET")
    project = found["project"] or project
    if not project:
        raise click.UsageError("say in which project the secret is: --project, or GOOGLE_CLOUD_PROJECT.")
    return project, found["location"] or location, found["secret"]


def _count(instances: dict[str, int]) -> "Counted | None":
    from .answer import Counted

    return Counted(instances, instances) if instances else None


def _tell_pages(pages: int, entries: int) -> None:
    # Nobody wonders about the first.
    if pages > 1:
        click.echo(f"page {pages}: {entries} entries", err=True)


@contextlib.contextmanager
def _told_plainly() -> Iterator[None]:
    """What keeps it from looking, in a line and with the exit status for that."""
    from .google_logging import CannotRead

    try:
        yield
    except CannotRead as exc:
        raise CannotLook(str(exc)) from exc
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] not in {"google", "grpc"}:
            raise
        raise CannotLook("needs `pip install 'keyturn[trace]'`") from exc


def _write(report: "Report", *, as_json: bool, html: Path | None) -> None:
    from .page import page
    from .words import lines

    if html is not None:
        try:
            # Who ran which secret where is nobody else's business.
            with open(html, "w", encoding="utf-8", opener=_private) as stream:  # it takes an opener
                stream.write(page(report))
        except OSError as exc:
            raise CannotLook(f"cannot write {html}: {exc.strerror}") from exc
    click.echo(json.dumps(report.as_json()) if as_json else "\n".join(lines(report)))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
