"""What the workers of a container tell each other, in files and over sockets: a secret's name and what is known of it.

Names, numbers and stamps; a value has no place in it.
"""

import json
from typing import Any

from .knowledge import Knowledge
from .names import SecretName


def encode(name: SecretName, knowledge: Knowledge) -> bytes:
    """One line of JSON, without its end."""
    return json.dumps({"secret": name.path, "knowledge": knowledge.to_wire()}, separators=(",", ":")).encode()


def decode(content: bytes) -> tuple[SecretName, Knowledge]:
    """Read what `encode` made.

    Raises:
        ValueError: `content` is anything else.
    """
    try:
        whole: Any = json.loads(content)
        return SecretName.parse(whole["secret"]), Knowledge.from_wire(whole["knowledge"])
    except (KeyError, TypeError, OverflowError, RecursionError) as exc:
        raise ValueError("not what keyturn's workers tell each other") from exc
