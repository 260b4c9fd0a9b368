"""One of the floor's processes: reads the version that it is told of by UDP, and says when it had it."""

import json
import socket
import sys
import time

from official import official_client


def main() -> None:
    told = ("127.0.0.1", int(sys.argv[1]))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard, official_client() as client:
        heard.bind(("127.0.0.1", 0))
        print(heard.getsockname()[1], flush=True)
        while True:
            name = heard.recv(1024).decode()
            client.access_secret_version(name=name)
            heard.sendto(json.dumps({"at": time.monotonic_ns()}).encode(), told)


if __name__ == "__main__":
    main()
