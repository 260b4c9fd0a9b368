"""The roles of Secret Manager and what each may do [documented]."""

_SECRETS = ("create", "delete", "get", "getIamPolicy", "list", "setIamPolicy", "update")
_MANAGED = ("enableManagedRotation", "rotate")
_VERSIONS = ("access", "add", "destroy", "disable", "enable", "get", "list")
_LOCATIONS = frozenset({"secretmanager.locations.get", "secretmanager.locations.list"})

_ALL = (
    _LOCATIONS
    | {f"secretmanager.secrets.{verb}" for verb in (*_SECRETS, *_MANAGED)}
    | {f"secretmanager.versions.{verb}" for verb in _VERSIONS}
)
_POLICIES = frozenset({"secretmanager.secrets.getIamPolicy", "secretmanager.secrets.setIamPolicy"})
_ACCESS = frozenset({"secretmanager.versions.access"})
_VIEW = _LOCATIONS | {
    "secretmanager.secrets.get",
    "secretmanager.secrets.getIamPolicy",
    "secretmanager.secrets.list",
    "secretmanager.versions.get",
    "secretmanager.versions.list",
}
_MANAGE_VERSIONS = _LOCATIONS | {
    f"secretmanager.versions.{verb}" for verb in ("add", "destroy", "disable", "enable", "get", "list")
}

# Each role with its permissions; a role that is not here grants nothing of Secret Manager.
ROLES: dict[str, frozenset[str]] = {
    "roles/editor": frozenset(_ALL - _POLICIES - _ACCESS),
    "roles/owner": frozenset(_ALL),
    "roles/secretmanager.admin": frozenset(_ALL),
    "roles/secretmanager.secretAccessor": _ACCESS,
    "roles/secretmanager.secretVersionAdder": frozenset({"secretmanager.versions.add"}) | _LOCATIONS,
    "roles/secretmanager.secretVersionManager": frozenset(_MANAGE_VERSIONS),
    "roles/secretmanager.viewer": frozenset(_VIEW),
    "roles/viewer": frozenset(_VIEW),
}
