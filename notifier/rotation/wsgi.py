"""The rotator as gunicorn starts it: everything it needs stands in the manifest."""

import os
from pathlib import Path
from typing import Final

from flask import Flask

from receiver import OIDC, Manifest

from .google_vault import GoogleVault, from_environment
from .rotations import Rotations, plans_of
from .service import create_app
from .standing import Traced
from .ticking import EVERY as TICK
from .ticking import Ticker, tick
from .vault import Vault


#: Where the manifest is, whether nothing is begun, and the seconds between two looks at what is due.
MANIFEST: Final = "KEYTURN_MANIFEST"
PAUSED: Final = "KEYTURN_ROTATION_PAUSED"
EVERY: Final = "KEYTURN_ROTATION_SECONDS"


class NoRotator(Exception):
    """The manifest says nothing of a service that rotates."""


def rotations_of(manifest: Manifest, vault: Vault) -> Rotations:
    """All rotations of a manifest, with Cloud Logging to tell who serves what.

    Raises:
        UnknownRotator: see `Rotations`.
        BadSettings: likewise.
        ValueError: a window is none.
    """
    at_once = manifest.rotator.at_once if manifest.rotator else 1
    instances = {name: spec.instances for name, spec in manifest.services.items() if spec.instances is not None}
    return Rotations(plans_of(manifest), vault, Traced(instances), at_once=at_once)


def app(manifest_path: str | None = None) -> Flask:
    """Make the service of the manifest that KEYTURN_MANIFEST names.

    Raises:
        ManifestError: the manifest cannot be read.
        NoRotator: it has no `rotator`.
    """
    path = Path(manifest_path or os.environ.get(MANIFEST, "secrets.yaml"))
    manifest = Manifest.read(path)
    rotator = manifest.rotator
    if rotator is None or rotator.audience is None:
        raise NoRotator(f"{path}: there is no rotator with an address that SECRET_ROTATE could be pushed to")
    rotations = rotations_of(manifest, GoogleVault(from_environment()))
    paused = rotator.paused or os.environ.get(PAUSED, "") not in {"", "0"}
    auth = OIDC(audience=rotator.audience, sender=manifest.pusher)
    made = create_app(
        rotations,
        auth=auth,
        operators=auth,  # a scheduler's requests are signed as pushes are
        paused=paused,
        tick=None if paused else lambda: tick(rotations),
    )
    if not paused:
        Ticker(rotations, every=float(os.environ.get(EVERY) or TICK)).start()
    return made
