"""What a handler pays to read a secret."""

import json
import os
import subprocess
from pathlib import Path
from typing import Final

from place import local_cloud, new_cache
from timing import Pair, Plan, Reach, Row, compare, often


#: An interpreter with the peers; `make bench` makes it, and without it they are left out.
_PEERS: Final = Path(".bench/peers/bin/python")


class Plain:
    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.value = value


def rows(plan: Plan) -> list[Row]:
    return [*_beside_attributes(plan), *(_beside_peers(plan) if _PEERS.exists() else [])]


def _beside_attributes(plan: Plan) -> list[Row]:
    times = plan.rounds(20_000)
    with local_cloud() as cloud, new_cache() as cache:
        cloud.create_secret("READ", b"value")
        secret = cache.secret("READ")
        cache.load()
        os.environ["READ"] = secret.value
        return compare(
            plan,
            {
                "secret.value": often("secret.value", times=times, secret=secret),
                "a slotted attribute": often("plain.value", times=times, plain=Plain(secret.value)),
                "a dict": often("held['READ']", times=times, held={"READ": secret.value}),
                "os.getenv": often("getenv('READ')", times=times, getenv=os.getenv),
            },
            [
                Pair("secret.value", "a slotted attribute", Reach(1.1)),
                Pair("secret.value", "a dict"),
                Pair("secret.value", "os.getenv"),
            ],
            rounds=400,
        )


def _beside_peers(plan: Plan) -> list[Row]:
    command = [str(_PEERS), str(Path(__file__).with_name("peers.py")), plan.only.pattern]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    ran = subprocess.run(
        [*command, *(["--quick"] if plan.quick else [])], env=environment, check=True, capture_output=True, text=True
    )
    return [Row(**row) for row in json.loads(ran.stdout)]
