"""A broker and a result backend for Celery that need no server: directories."""

from pathlib import Path
from typing import Any


def settings(folder: str) -> dict[str, Any]:
    """Celery's configuration for a broker in `folder`."""
    messages, control, results = (Path(folder) / name for name in ("messages", "control", "results"))
    for path in (messages, control, results):
        path.mkdir(exist_ok=True)
    return {
        "broker_url": "filesystem://",
        "broker_transport_options": {
            "data_folder_in": str(messages),
            "data_folder_out": str(messages),
            "control_folder": str(control),
        },
        "result_backend": f"file://{results}",
        "worker_prefetch_multiplier": 1,
    }
