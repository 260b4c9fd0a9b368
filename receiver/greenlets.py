"""gRPC under gevent: without gRPC's own support for it, one call stops every greenlet of the process."""

import logging
import sys

from .telemetry import entry as log


def let_grpc_yield() -> None:
    """Switch gRPC's support for gevent on, where gevent has patched this process; says so where there is none.

    To be called before the first channel is made. [grpc.experimental.gevent.init_gevent]
    """
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("socket"):
        return
    try:
        from grpc.experimental.gevent import init_gevent

        init_gevent()
    except Exception as exc:  # noqa: BLE001  # whatever it is, a service that blocks is better than none
        log(
            logging.WARNING,
            "grpc_blocks",
            "gRPC cannot be switched to gevent, so each call to Secret Manager stops all greenlets of this process "
            "until it is answered",
            error=type(exc).__name__,
        )
