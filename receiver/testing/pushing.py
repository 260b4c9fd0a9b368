"""Hands a source's changes to caches, as Pub/Sub would."""

import time
from typing import Final

from ..cache import SecretCache
from ..events import decode_push
from .in_memory import InMemorySource, Named


#: How long one announced change may take, in seconds: as long as a push.
_DEADLINE: Final = 6.0


def push(source: InMemorySource, *caches: SecretCache) -> None:
    """Tell each cache what has changed in the source since the last push, as Pub/Sub would, and wait until it is done.

    What a push cannot mend stays as it is in production: the last good value serves, and the log says why.
    """
    for body in source.pushes():
        event = decode_push(body, received=0)
        news = event.knowledge()
        for cache in caches:
            if event.secret is not None and news is not None:
                cache.announce(event.secret, news, deadline=time.monotonic() + _DEADLINE)


def rotate(cache: SecretCache, source: InMemorySource, name: Named, data: str | bytes) -> int:
    """Add a version and push it to the cache, with all that has not been pushed yet; return its number."""
    number = source.add(name, data)
    push(source, cache)
    return number
