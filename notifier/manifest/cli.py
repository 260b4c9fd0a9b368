"""`keyturn manifest`: check one, print its JSON Schema, start one."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click


if TYPE_CHECKING:
    from receiver import Manifest

#: Bytes of a file that a manifest is started from; a script that deploys has a few thousand.
_LARGEST = 1024 * 1024

_FILE = click.Path(path_type=Path, allow_dash=True)


class CannotTry(click.ClickException):
    """The command cannot run as it was asked to: one line, exit status 2."""

    exit_code = 2


@click.group()
def manifest() -> None:
    """Check a manifest, print its schema, or start one."""
    try:
        import yaml  # noqa: F401  # what every command needs, said before anything else
    except ModuleNotFoundError as exc:
        raise CannotTry("needs `pip install 'keyturn[manifest]'`") from exc


@manifest.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def check(*, files: tuple[Path, ...]) -> None:
    """Say what is wrong in each of FILES, with line and column; exit with 1 where something is."""
    from receiver import Manifest, ManifestError

    wrong = False
    for path in files:
        try:
            found = Manifest.read(path)
            _ask_rotators(path, found)
        except ManifestError as exc:
            wrong = True
            click.echo(str(exc), err=True)
        else:
            click.echo(f"{path}: {len(found.secrets)} secrets for {len(found.services)} services")
    sys.exit(1 if wrong else 0)


@manifest.command()
def schema() -> None:
    """Print the JSON Schema, for an editor to complete and check by."""
    from receiver import Manifest

    click.echo(json.dumps(Manifest.schema(), indent=2))


@manifest.command("from-env")
@click.argument("file", type=_FILE)
@click.option("--project", required=True, help="Id of the project.")
@click.option("--location", required=True, help="Where new secrets are to be: a region, or global.")
@click.option("--service", required=True, help="Name of the service that reads them.")
@click.option("--service-account", required=True, help="The account that the service runs as.")
@click.option("--push-endpoint", help="Where it is pushed to; without it, it hears by pull.")
def from_env(*, file: Path, **wanted: Any) -> None:
    """Print a first manifest for a service.

    FILE is a script with Cloud Run's --set-secrets flags, or an environment file of NAME=value lines; - reads standard
    input. No value of it is kept or shown.
    """
    from receiver import Manifest, ManifestError

    try:
        made, unclear = Manifest.draft(_read(file), **wanted)
    except ManifestError as exc:
        raise CannotTry(str(exc)) from exc
    click.echo(made, nl=False)
    if unclear:
        click.echo(f"{file}: not understood: line {', '.join(map(str, unclear))}", err=True)


def _read(file: Path) -> str:
    try:
        with click.open_file(str(file), "rb") as opened:
            data: bytes = opened.read(_LARGEST + 1)
    except OSError as exc:
        raise CannotTry(f"{file}: cannot be read: {exc.strerror}") from exc
    if len(data) > _LARGEST:
        raise CannotTry(f"{file}: is larger than {_LARGEST} bytes")
    # What is no UTF-8 is a value, or not understood: nothing of it is shown either way.
    return data.decode(errors="replace")


def _ask_rotators(path: Path, found: "Manifest") -> None:
    """See whether each rotator is installed and takes its settings, which only it knows.

    Raises:
        ManifestError: one is not, or does not.
    """
    from receiver import ManifestError

    from ..rotation.rotator import BadSettings, UnknownRotator, find

    problems = []
    for name, secret in found.secrets.items():
        if secret.rotation is None or secret.rotation.rotator is None:
            continue
        at = ("secrets", name, "rotation")
        try:
            find(secret.rotation.rotator, secret.rotation.settings)
        except UnknownRotator as exc:
            problems.append(found.problem(str(exc), *at, "rotator"))
        except BadSettings as exc:
            problems.append(found.problem(str(exc), *at, "settings"))
    if problems:
        raise ManifestError(str(path), problems)
