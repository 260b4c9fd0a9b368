"""What a handler pays to read a secret."""

import os

from place import local_cloud, new_cache
from timing import Rounds, Row, compare, often


class Plain:
    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.value = value


def rows(rounds: Rounds) -> list[Row]:
    times = rounds(20_000)
    with local_cloud() as cloud, new_cache() as cache:
        cloud.create_secret("READ", b"value")
        secret = cache.secret("READ")
        cache.load()
        os.environ["READ"] = secret.value
        return compare(
            {
                "secret.value": often("secret.value", times=times, secret=secret),
                "a slot of a plain class": often("plain.value", times=times, plain=Plain(secret.value)),
                "os.environ[...]": often("environ['READ']", times=times, environ=os.environ),
            },
            [("secret.value", "a slot of a plain class"), ("secret.value", "os.environ[...]")],
            rounds=rounds(400),
        )
