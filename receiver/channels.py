"""What Google's clients have in common here: channel options, guarded imports, and a local server's address."""

from typing import Final

from .errors import ConfigurationError
from .interruptions import Endings, Imports


#: The clients' own channel options, and one pool of connections per channel: a subchannel shared with a channel of the
#: parent answers "wrong file descriptor generation" in a forked child.
OPTIONS: Final = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
)

#: Forks are of the process, and so are these.
IMPORTS: Final = Imports()
ENDINGS: Final = Endings()


def only_loopback(address: str, variable: str) -> None:
    """Check the address of a local server.

    Args:
        address: host and port.
        variable: where it was given.

    Raises:
        ConfigurationError: it is no loopback address.
    """
    import ipaddress

    host = address.rpartition(":")[0].strip("[]")
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ConfigurationError(
            f"{variable} must be a loopback address with a port, since nothing encrypts what goes there"
        )
