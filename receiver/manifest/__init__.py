"""The manifest: one file that says which service uses which secret, read by services and by Terraform alike."""

from .model import Manifest, Rotation, SecretSpec, ServiceSpec
from .problems import ManifestError, Problem


__all__ = ["Manifest", "ManifestError", "Problem", "Rotation", "SecretSpec", "ServiceSpec"]
