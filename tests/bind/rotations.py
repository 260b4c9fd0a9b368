"""Changes of a database's password while it is used: both halves of each, in both orders."""

import json

from receiver import SecretCache
from receiver.bind.followed import Credentials, credentials_of
from receiver.testing import InMemorySource, rotate


#: Seconds between the two halves of a change. Nothing may fail within it.
GAP = 0.15

NAME = "DATABASE"


class _Rotation:
    """One database secret with a cache of its own; `first` is what a service that does not follow goes on using."""

    def __init__(self, server, run_dir):
        self.server = server
        self.source = InMemorySource()
        self.cache = SecretCache("any-project", source=self.source, run_dir=str(run_dir), backstop=None)
        self._count = 1
        self.begin()
        self.source.pushes()  # what is there before anybody looks is no news
        self.cache.load()

    def credentials(self, value):
        """User and password, for servers that are not told the user otherwise."""
        found = credentials_of(value)
        return found if found.user is not None else Credentials(found.password, self.users[0])

    def close(self):
        self.cache.close()

    def add(self, payload):
        """A version is added and pushed; when this returns, the push has been acknowledged."""
        rotate(self.cache, self.source, NAME, payload)


class SingleUser(_Rotation):
    """One role whose password is altered: in turns before the version is added, and after."""

    def begin(self):
        self.users = [self.server.role("pw-1")]
        self.first = (self.users[0], "pw-1")
        self.source.add(NAME, "pw-1")
        self.secret = self.cache.secret(NAME)

    def rotate(self, wait):
        self._count += 1
        password = f"pw-{self._count}"
        halves = [lambda: self.server.set_password(self.users[0], password), lambda: self.add(password)]
        first, second = halves if self._count % 2 else reversed(halves)
        first()
        wait(GAP)
        second()


class Alternating(_Rotation):
    """Two roles in turns: the other one gets a new password and goes live, and then the old one is locked."""

    def begin(self):
        self.users = [self.server.role("pw-1"), self.server.role("unused")]
        self.first = (self.users[0], "pw-1")
        self.source.add(NAME, self._payload())
        self.secret = self.cache.secret(NAME, type="json")

    def rotate(self, wait):
        self._count += 1
        old = self.users[0]
        self.users.reverse()
        self.server.set_password(self.users[0], f"pw-{self._count}")
        self.add(self._payload())
        self.server.lock(old)

    def _payload(self):
        return json.dumps({"user": self.users[0], "password": f"pw-{self._count}"})
