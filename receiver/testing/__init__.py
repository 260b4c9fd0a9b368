"""For the tests of services that use keyturn: a Secret Manager in memory, and pushes without a network.

    source = InMemorySource({"API_KEY": "one"})
    cache = SecretCache("any-project", source=source)
    key = cache.secret("API_KEY")
    rotate(cache, source, "API_KEY", "two")
    assert key.value == "two"

Nothing here belongs in production, and nothing here needs more than the standard library.
"""

from .in_memory import LARGEST, InMemorySource, Named
from .pushing import push, rotate


__all__ = ["LARGEST", "InMemorySource", "Named", "push", "rotate"]
