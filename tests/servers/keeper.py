"""Runs a server until its standard input ends, which is when whoever started it stops it, or dies in whatever way.

Arguments: the signal that ends it, a directory to remove afterwards, a uid and a gid ("" for one's own), the command.
"""

import os
import shutil
import subprocess
import sys
import threading


PATIENCE = 20


def main(stop_by, directory, uid, gid, *command):
    switch = {"user": int(uid), "group": int(gid), "extra_groups": []} if uid else {}
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=directory, **switch)
    ending = threading.Event()

    def watch():
        server.wait()
        if not ending.is_set():  # by itself: its starter sees that, and reads why
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    sys.stdin.buffer.read()
    ending.set()
    server.send_signal(int(stop_by))
    try:
        server.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        server.kill()
    shutil.rmtree(directory, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
