"""Message types without the clients that live in the same packages: a third of what `keyturn dev` would take to start.

`google.pubsub_v1` and its like import their clients, and those authentication, HTTP and more. A process that only
serves needs the messages alone.
"""

import importlib
import importlib.util
import sys
from types import ModuleType


_PACKAGES = ("google.cloud.logging_v2", "google.cloud.secretmanager_v1", "google.pubsub_v1")


def without_clients() -> None:
    """Import the messages of the three services, and nothing else of their packages.

    The packages themselves can still be imported, with their clients. It is for a process of ours: there, `types` is
    no attribute of the package then, only a module in it. Call it before other threads import.
    """
    for name in _PACKAGES:
        spec = None if name in sys.modules else importlib.util.find_spec(name)
        if spec is None:
            continue  # it is whole already, or the import that needs it says that it is missing
        place = ModuleType(name)
        place.__path__ = list(spec.submodule_search_locations or ())
        sys.modules[name] = place
        try:
            importlib.import_module(f"{name}.types")
        finally:
            del sys.modules[name]
