"""Reading a value beside the caches that one would otherwise take, each answering from memory.

Run by `reading` with an interpreter that has them; prints its rows as JSON.
"""

import json
import re
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import aws_secretsmanager_caching
import cachetools
import gcp_secretmanager_cache
from timing import Pair, Plan, compare, often

from receiver import SecretCache
from receiver.testing import InMemorySource


NAME = "API_KEY"
VALUE = "value"


def main() -> None:
    plan = Plan(quick="--quick" in sys.argv, only=re.compile(sys.argv[1]))
    cache = SecretCache("any-project", source=InMemorySource({NAME: VALUE}))
    secret = cache.secret(NAME)
    cache.load()
    times = plan.rounds(20_000)
    calls = {"secret.value": often("secret.value", times=times, secret=secret)}
    for name, read in (("cachetools, with a lock", ours()), ("gcp-secretmanager-cache", gcp()), ("aws-caching", aws())):
        assert read() in {VALUE, VALUE.encode()}
        calls[name] = often("read()", times=times, read=read)
    pairs = [Pair("secret.value", name) for name in calls if name != "secret.value"]
    print(json.dumps([asdict(row) for row in compare(plan, calls, pairs, rounds=200)]))
    cache.close()


def ours() -> Callable[[], Any]:
    @cachetools.cached(cachetools.TTLCache(maxsize=100, ttl=3600), lock=threading.Lock())
    def read(_: str) -> str:
        return VALUE

    return lambda: read(NAME)


def gcp() -> Callable[[], Any]:
    class Filled(gcp_secretmanager_cache.GCPCachedSecret):
        def _get_secret(self) -> bytes:
            return VALUE.encode()

    return Filled(f"projects/p/secrets/{NAME}", ttl=3600.0).get_secret


def aws() -> Callable[[], Any]:
    class Client:
        def describe_secret(self, **_: object) -> dict[str, Any]:
            return {"VersionIdsToStages": {"1": ["AWSCURRENT"]}}

        def get_secret_value(self, **_: object) -> dict[str, Any]:
            return {"SecretString": VALUE, "VersionStages": ["AWSCURRENT"]}

    cache = aws_secretsmanager_caching.SecretCache(client=Client())
    return lambda: cache.get_secret_string(NAME)


if __name__ == "__main__":
    main()
