"""The command's door: says which module stands in the way where `receiver` or `notifier` is not keyturn's.

Both names are common: a service's own `notifier.py`, or an unrelated package from PyPI, found first on `sys.path`,
would end in an error that names neither. The wheel installs this file as the top-level module `keyturn_command`, so
that it is found whatever those names lead to; it imports nothing of ours before it has looked.
"""

import importlib
import importlib.util
import sys
from pathlib import Path


#: A file that only keyturn's package of that name has.
_SIGNS = {"receiver": "knowledge.py", "notifier": "local/issuer.py"}


def main() -> None:
    """Run the command `keyturn`; where a package of ours is shadowed, say by what, and exit with 2."""
    for name, sign in _SIGNS.items():
        found = importlib.util.find_spec(name)
        origin = found.origin if found is not None else None
        if origin is None or not (Path(origin).parent / sign).is_file():
            sys.exit(_complaint(name, origin))
    importlib.import_module("notifier.cli").main()


def _complaint(name: str, origin: str | None) -> int:
    where = f"{origin} stands in its way" if origin else "it is not installed"
    sys.stderr.write(
        f"keyturn: the package `{name}` is not keyturn's: {where}. Rename that module, take its folder off PYTHONPATH, "
        f"or uninstall the package `{name}` and install keyturn again\n"
    )
    return 2
