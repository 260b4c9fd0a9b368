"""The commands of rotation: rotator, rotate, rotation, retire, rollback."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click


if TYPE_CHECKING:
    from .machine import Advance, Machine
    from .rotations import Rotations
    from .vault import Vault


#: Exit statuses: it is done; it is not (yet); it could not be tried.
DONE, NOT_DONE = 0, 3

_MANIFEST = click.option(
    "--manifest",
    "path",
    type=click.Path(path_type=Path),
    envvar="KEYTURN_MANIFEST",
    default="secrets.yaml",
    show_default=True,
    help="The manifest.",
)


class CannotTry(click.ClickException):
    """The command cannot run as it was asked to: one line, exit status 2."""

    exit_code = 2


@click.command()
@_MANIFEST
@click.option("--bind", default="127.0.0.1:8080", show_default=True, help="Address and port to listen on.")
@click.option("--threads", type=click.IntRange(1, 64), default=8, show_default=True, help="Requests at a time.")
def rotator(*, path: Path, bind: str, threads: int) -> None:
    """Run the service that SECRET_ROTATE is pushed to, under gunicorn."""
    import os

    with _missing_extra():
        import gunicorn  # type: ignore[import-untyped]  # noqa: F401

        from .wsgi import MANIFEST
    environment = {**os.environ, MANIFEST: str(path.absolute())}
    _read(path)
    command = [sys.executable, "-m", "gunicorn", "--bind", bind, "--workers", "1", "--threads", str(threads)]
    os.execve(sys.executable, [*command, "--timeout", "120", "notifier.rotation.wsgi:app()"], environment)  # noqa: S606


@click.command()
@click.argument("secret")
@_MANIFEST
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--wait", is_flag=True, help="Try again until the new version is there.")
@click.option("--timeout", type=click.FloatRange(1), default=600, show_default=True, help="Seconds to wait.")
def rotate(*, secret: str, path: Path, dry_run: bool, wait: bool, timeout: float) -> None:
    """Rotate SECRET now: make a new version, try it, and add it.

    Whoever waits for a window or for the time of the next attempt does not; a pause holds for people too. A rotation
    that was interrupted is gone on with. Exit status: 0 the new version is there, 3 it is not, 2 it could not be tried.
    """
    rotations, vault = _rotations(path)
    machine = _machine(rotations, secret, path)
    if dry_run:
        _say_what_would_be_done(machine, vault)
        return
    with _told():
        if not machine.standing()[0].under_way:
            rotations.asked(machine)
    sys.exit(_go_on(rotations, machine, until=_is_promoted, seconds=timeout if wait else 0.0))


@click.command()
@click.argument("secret")
@_MANIFEST
@click.option("--force", is_flag=True, help="End the old versions whoever holds them; this is logged.")
def retire(*, secret: str, path: Path, force: bool) -> None:
    """Disable the old versions of SECRET, if nobody holds one of them.

    Who holds what is told by the receivers' entries in Cloud Logging. Exit status: 0 they are ended, 3 they are not
    and it says who holds one, 2 it could not be tried.
    """
    rotations, vault = _rotations(path)
    machine = _machine(rotations, secret, path)
    from .retiring import retire_now

    with _told():
        done = retire_now(machine, vault, force=force)
    _say(done)
    sys.exit(DONE if done.outcome.value == "done" else NOT_DONE)


@click.command()
@click.argument("secret")
@_MANIFEST
@click.option("--to", "version", type=click.IntRange(1), help="The version to go back to; the one before by default.")
@click.option("--timeout", type=click.FloatRange(1), default=30, show_default=True, help="Seconds to try it for.")
def rollback(*, secret: str, path: Path, version: int | None, timeout: float) -> None:
    """Make the version before current everywhere: its value is added as the newest version.

    It takes the way of every rotation, so it is applied and tested before anybody is served it, and receivers follow
    the same event. Exit status: 0 it is current, 3 it is not, 2 it could not be tried.
    """
    from .machine import NotNow
    from .retiring import version_before

    rotations, vault = _rotations(path)
    machine = _machine(rotations, secret, path)
    with _told():
        back = version or version_before(machine, vault)
        try:
            machine.ask_back(int(time.time() * 1e9), back)  # noqa: TID251  # a person asks now
        except NotNow as exc:
            raise CannotTry(str(exc)) from exc
    status = _go_on(rotations, machine, until=_is_promoted, seconds=timeout)
    if status == DONE:
        _say_what_rollback_left(machine, vault, back)
    else:
        click.echo(f"  keyturn rotation abandon {secret} gives it up")
    sys.exit(status)


@click.group()
def rotation() -> None:
    """Look at rotations, pause them, and check their schedules."""


@rotation.command()
@click.argument("secrets", nargs=-1)
@_MANIFEST
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def status(*, secrets: Sequence[str], path: Path, as_json: bool) -> None:
    """Say where the rotation of SECRETS stands (all, where none is named), and what to do."""
    rotations, _ = _rotations(path)
    from .report import line, report

    machines = [_machine(rotations, secret, path) for secret in secrets] or list(rotations)
    told = [report(machine) for machine in machines]
    click.echo(json.dumps(told, indent=2) if as_json else "\n".join(line(one) for one in told))
    if any("trouble" in one for one in told):
        sys.exit(CannotTry.exit_code)


@rotation.command()
@click.argument("secret")
@_MANIFEST
@click.option("--because", required=True, help="Why, for whoever looks.")
def pause(*, secret: str, path: Path, because: str) -> None:
    """Do nothing more for SECRET until it is resumed; what is asked for meanwhile is not forgotten."""
    rotations, _ = _rotations(path)
    with _told():
        _machine(rotations, secret, path).pause(because)
    click.echo(f"{secret} is paused.")


@rotation.command()
@click.argument("secret")
@_MANIFEST
def resume(*, secret: str, path: Path) -> None:
    """Let the rotation of SECRET go on."""
    rotations, _ = _rotations(path)
    with _told():
        _machine(rotations, secret, path).pause(None)
    click.echo(f"{secret} goes on.")


@rotation.command()
@click.argument("secret")
@_MANIFEST
def abandon(*, secret: str, path: Path) -> None:
    """Give up the rotation of SECRET that is under way: the version that is served stays as it is."""
    from .machine import NotNow
    from .rotator import RotatorError

    rotations, _ = _rotations(path)
    machine = _machine(rotations, secret, path)
    with _told():
        try:
            machine.abandon()
        except (NotNow, RotatorError) as exc:
            raise CannotTry(str(exc)) from exc
    click.echo(f"{secret}: given up; what was current stays current")


@rotation.command()
@_MANIFEST
def check(*, path: Path) -> None:
    """Check schedules, topics and companions. Exit status: 0 all is well, 3 something is not."""
    from .checks import check as find_faults

    rotations, vault = _rotations(path)
    faults = find_faults(rotations, vault, now=time.time())  # noqa: TID251  # a person asks now
    click.echo("\n".join(faults) or f"{len(rotations.plans)} rotations, nothing to complain about")
    sys.exit(NOT_DONE if faults else DONE)


def _is_promoted(machine: "Machine") -> bool:
    state, _ = machine.standing()
    return not state.wanted


def _go_on(rotations: "Rotations", machine: "Machine", *, until: "Callable[[Machine], bool]", seconds: float) -> int:
    deadline = time.monotonic() + seconds
    while True:
        with _told():
            done = rotations.advance(machine, urgent=True, wait=seconds)
            for action in done.steps:
                click.echo(f"  {action} is done")
            if until(machine):
                _say(done)
                return DONE
        left = deadline - time.monotonic()
        if left <= 0 or done.outcome.value == "left alone":
            _say(done)
            return NOT_DONE
        retry_in = done.state.retry_at - time.time()  # noqa: TID251  # when it may be tried again is wall time
        time.sleep(min(left, max(1.0, retry_in)))


def _say(done: "Advance") -> None:
    version = f"version {done.state.promoted}" if done.state.promoted else "no new version"
    click.echo(f"{done.outcome.value}: {version}; {done.why}")


def _say_what_would_be_done(machine: "Machine", vault: "Vault") -> None:
    from .report import line, report
    from .vault import current, highest

    with _told():
        newest = highest(vault, machine.plan.secret)
        served = current(vault, machine.plan.secret, at_most=newest)
    click.echo(line(report(machine)))
    click.echo(f"  would add version {newest + 1} by {machine.plan.rotator}; current: {served and served[0]}")
    click.echo("  nothing was done")


def _say_what_rollback_left(machine: "Machine", vault: "Vault", back: int) -> None:
    state, _ = machine.standing()
    secret = vault.describe(machine.plan.secret)
    click.echo(f"  version {state.promoted} has the value of version {back}; those between stay enabled until they are")
    click.echo(f"  retired, {machine.plan.grace:.0f} s from now at the earliest, so whoever accepts them still may")
    click.echo("  the schedule is as it was" if secret.next_rotation else "  it has no schedule")
    for alias, number in sorted(secret.aliases.items()):
        click.echo(f"  the alias {alias} still points at version {number}: move it where entries are pinned to it")


def _read(path: Path) -> Any:
    from receiver import Manifest, ManifestError

    with _missing_extra():
        try:
            return Manifest.read(path)
        except ManifestError as exc:
            raise CannotTry(str(exc)) from exc


def _rotations(path: Path) -> "tuple[Rotations, Vault]":
    manifest = _read(path)
    from .rotator import BadSettings, UnknownRotator

    with _missing_extra():
        from .google_vault import GoogleVault, from_environment
        from .wsgi import rotations_of
    vault = GoogleVault(from_environment())
    try:
        return rotations_of(manifest, vault), vault
    except (BadSettings, UnknownRotator, ValueError) as exc:
        raise CannotTry(f"{path}: {exc}") from exc


def _machine(rotations: "Rotations", secret: str, path: Path) -> "Machine":
    machine = rotations.machine(secret)
    if machine is None:
        names = ", ".join(sorted(one.plan.secret.secret for one in rotations)) or "none"
        raise CannotTry(f"{path} says nothing of a rotation of {secret}; it does of {names}")
    return machine


class _told:  # noqa: N801  # reads as a statement
    """Tell what Secret Manager did not do in one line."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, exc: BaseException | None, _trace: object) -> None:
        from .vault import VaultError

        if isinstance(exc, VaultError):
            raise CannotTry(str(exc)) from None


class _missing_extra:  # noqa: N801  # reads as a statement
    """Name the extra where a package is missing."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, exc: BaseException | None, _trace: object) -> None:
        if isinstance(exc, ModuleNotFoundError) and (exc.name or "").partition(".")[0] in {
            "google", "grpc", "gunicorn", "psycopg", "requests", "yaml",
        }:  # fmt: skip
            raise CannotTry("needs `pip install 'keyturn[rotation]'`") from None
