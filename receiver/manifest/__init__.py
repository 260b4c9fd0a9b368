"""The manifest: one file that says which service uses which secret, read by services and by Terraform alike."""

from .model import Manifest
from .problems import ManifestError, Problem
from .specs import Rotation, RotatorSpec, SecretSpec, ServiceSpec


__all__ = ["Manifest", "ManifestError", "Problem", "Rotation", "RotatorSpec", "SecretSpec", "ServiceSpec"]
