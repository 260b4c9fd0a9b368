"""Message types without the clients that live in the same packages: a third of what `keyturn dev` would take to start.

`google.pubsub_v1` and its like import their clients, and those authentication, HTTP and more. A process that only
serves needs the messages alone.
"""

import contextlib
import gc
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from types import ModuleType


# What is needed of each package. The `types` of Logging would bring its configuration, half as much again as the rest.
_NEEDED = {
    "google.cloud.logging_v2": ("types.log_entry", "types.logging"),
    "google.cloud.secretmanager_v1": ("types",),
    "google.pubsub_v1": ("types",),
}


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Look for no garbage meanwhile, nor ever in what there is by then.

    It is for imports at the start of a process: they make none, and looking for it takes a twentieth of their time.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was:
            gc.enable()


def without_clients() -> None:
    """Import the messages of the three services, and nothing else of their packages.

    The packages themselves can still be imported, with their clients. It is for a process of ours: there, what was
    imported here is no attribute of its package then, only a module in it. Call it before other threads import.
    """
    for package, modules in _NEEDED.items():
        spec = None if package in sys.modules else importlib.util.find_spec(package)
        if spec is None:
            continue  # it is whole already, or the import that needs it says that it is missing
        folders = list(spec.submodule_search_locations or ())
        places = {package: folders, f"{package}.types": [f"{folder}/types" for folder in folders]}
        wanted = {f"{package}.{module}" for module in modules}
        stand_ins = places.keys() - wanted
        for name in stand_ins:
            sys.modules[name] = ModuleType(name)
            sys.modules[name].__path__ = places[name]
        try:
            for name in wanted:
                importlib.import_module(name)
        finally:
            for name in stand_ins:
                del sys.modules[name]
