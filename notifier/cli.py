"""The command `keyturn`. Each command imports what it needs when it runs, so that `--help` is instant."""

import importlib
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import click

from .streams import stand_in


# Packages that come with an extra; a missing one is named with what to install.
_OF_THE_EXTRA = ("google", "grpc", "jwt", "cryptography", "gunicorn", "rich", "psycopg", "psycopg_pool")

# The commands that stand elsewhere, and where.
_ELSEWHERE = {
    "manifest": "manifest.cli",
    "retire": "rotation.cli",
    "rollback": "rotation.cli",
    "rotate": "rotation.cli",
    "rotation": "rotation.cli",
    "rotator": "rotation.cli",
    "trace": "trace.command",
}

_PORT = click.IntRange(0, 65535)
_PATH = click.Path(path_type=Path)


def main() -> None:
    """Run the command and end the process."""
    stand_in()
    keyturn(prog_name="keyturn")


class _Late(click.Group):
    """A group that imports a command when that is asked for, so that no command pays for the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_ELSEWHERE})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(f".{_ELSEWHERE[cmd_name]}", __package__)
        found: click.Command = getattr(module, cmd_name)
        return found


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    import importlib.metadata

    try:
        number = importlib.metadata.version("keyturn")
    except importlib.metadata.PackageNotFoundError:
        number = "(run from its source, not installed)"
    click.echo(f"keyturn {number}")
    ctx.exit()


def _project_id(_: click.Context, __: click.Parameter, value: str) -> str:
    if re.fullmatch(r"[a-z0-9][a-z0-9:.-]{0,62}", value) is None:
        raise click.BadParameter("a project id has lower case letters, digits and hyphens.")
    return value


def _own_address(_: click.Context, __: click.Parameter, value: str) -> str:
    import socket

    with socket.socket() as probe:
        try:
            probe.bind((value, 0))
        except (OSError, UnicodeError) as exc:
            raise click.BadParameter("an IPv4 address of this machine is needed.") from exc
        return str(probe.getsockname()[0])


@click.group(cls=_Late, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version."
)
def keyturn() -> None:
    """Secrets that turn over in running services."""


@keyturn.command()
@click.option("--json", "as_json", is_flag=True, help="Print one line, a JSON object of the variables.")
@click.option("--secret-manager-port", type=_PORT, default=0, help="Port of Secret Manager; 0 takes a free one.")
@click.option("--pubsub-port", type=_PORT, default=0, help="Port of Pub/Sub; 0 takes a free one.")
@click.option("--logging-port", type=_PORT, default=0, help="Port of Logging; 0 takes a free one.")
@click.option("--keys-port", type=_PORT, default=0, help="Port of the signing keys and of control; 0: a free one.")
@click.option("--project", default="local-project", show_default=True, callback=_project_id, help="Id of the project.")
@click.option("--address", default="127.0.0.1", show_default=True, callback=_own_address, help="Where to listen.")
@click.option("--data", type=_PATH, help="Keep all in this directory; without it nothing is kept.")
@click.option("--faults", type=_PATH, help="Set the faults of this file, a JSON list, once all is ready.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def dev(
    *,
    as_json: bool,
    project: str,
    address: str,
    data: Path | None,
    faults: Path | None,
    command: tuple[str, ...],
    **ports: Any,
) -> None:
    """Run a Secret Manager, a Pub/Sub and a Logging on this machine.

    The environment to use is printed on standard output once all is ready; what happens is told on standard error
    as it happens. With a COMMAND (after `--`), that runs with this environment, its lines go to Logging too, and all
    ends when it ends. Where PUBSUB_EMULATOR_HOST is set, that Pub/Sub is used. Ctrl-C ends it.
    """
    from .signals import held_signals, wait_for_end

    with held_signals():
        try:
            from .local.lean import uncollected, without_clients

            with uncollected():
                without_clients()
                from .local import dev_faults
                from .local.cloud import LocalCloud
                from .local.dev import UNUSABLE, Teller, run
                from .local.rpc import PortInUse
        except ModuleNotFoundError as exc:
            raise _missing(exc) from exc
        tell = Teller(sys.stderr, wall=time.time, project=project)  # noqa: TID251 - the command's wall time comes from here
        # Who names a port wants a Pub/Sub of their own there.
        elsewhere = "" if ports["pubsub_port"] else os.environ.get("PUBSUB_EMULATOR_HOST", "")
        try:
            wanted = dev_faults.read(faults) if faults else ()
            cloud = LocalCloud(project=project, report=tell, address=address, data=data, pubsub_host=elsewhere, **ports)
            status = run(
                cloud, out=sys.stdout, tell=tell, as_json=as_json, until=wait_for_end, faults=wanted, command=command
            )
        except PortInUse as exc:
            raise _Failed(f"{exc}; choose another with --{exc.server}-port") from exc
        except UNUSABLE as exc:
            raise _Failed(str(exc)) from exc
    sys.exit(status)


@keyturn.command()
@click.option("--workers", type=click.IntRange(1, 32), default=4, show_default=True, help="How many gunicorn starts.")
@click.option(
    "--instances", type=click.IntRange(1, 8), default=2, show_default=True, help="How many containers there are."
)
@click.option("--rotation", "rotates", is_flag=True, help="Rotate a database password by a schedule instead.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object of the figures.")
def demo(*, workers: int, instances: int, rotates: bool, as_json: bool) -> None:
    """Rotate a secret under load on this machine, and watch every worker follow.

    No cloud account is needed. The exit status is 0 only where everything held that is promised; nothing is left
    running or lying about. With --rotation a schedule fires instead, and the rotator gives a PostgreSQL of the demo's
    own a new password under load; that needs initdb and postgres on this machine.
    """
    from .demo.ending import Ending

    ending = Ending()
    with ending.heard():
        try:
            importlib.import_module("gunicorn")
            importlib.import_module("rich")
            if rotates:
                from .demo.rotation import run as rotation

                sys.exit(rotation.run(as_json=as_json, out=sys.stdout, err=sys.stderr, ending=ending))
            from .demo.run import run
        except ModuleNotFoundError as exc:
            raise _missing(exc, extra="demo") from exc
        sys.exit(run(workers, instances=instances, as_json=as_json, out=sys.stdout, err=sys.stderr, ending=ending))


class _Failed(click.ClickException):
    """The command cannot run as it was asked to: one line, exit status 2."""

    exit_code = 2


def _missing(exc: ModuleNotFoundError, *, extra: str = "local") -> Exception:
    """What to raise for a module that is not there: with advice where the extra would bring it."""
    if (exc.name or "").partition(".")[0] not in _OF_THE_EXTRA:
        return exc
    return _Failed(f"needs `pip install 'keyturn[{extra}]'`")
