"""A local cloud in a process of its own, with secrets that are near and others that are far; ends with its stdin."""

import json
import sys
from typing import Final

from notifier.local.cloud import LocalCloud


COUNT: Final = 77
FAR: Final = 0.05  # seconds: what an access takes from afar

NEAR_NAMES: Final = [f"NEAR_{number}" for number in range(COUNT)]
FAR_NAMES: Final = [f"FAR_{number}" for number in range(COUNT)]


def main() -> None:
    with LocalCloud() as cloud:
        for name in NEAR_NAMES:
            cloud.create_secret(name, b"value")
        for name in FAR_NAMES:
            cloud.secret_manager.slow_accesses(cloud.create_secret(name, b"value"), seconds=FAR, times=None)
        print(json.dumps(cloud.environment()), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
