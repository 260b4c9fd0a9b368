"""`postgres-single` and `postgres-alternating`: passwords of PostgreSQL roles.

The server is given a SCRAM verifier that is computed here, so the new password stands in none of its logs.
"""

import contextlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from ..rotator import BadSettings, Job, Overlap, RotatorError
from .login import Form, Login


if TYPE_CHECKING:
    import psycopg

_LONGEST_CONNECT: Final = 10
#: Letters and digits of a password: 190 bits, and nothing that a URL or a shell would change.
_PASSWORD_LENGTH: Final = 32
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class _Postgres:
    def __init__(self, *, administrator: str, form: Form, connect: str, choose: Callable[[str], str]) -> None:
        if form not in {"url", "json", "password"}:
            raise BadSettings("postgres: form is url, json or password")
        if not administrator:
            raise BadSettings("postgres: administrator names the secret that holds an administrator's URL")
        self._administrator = administrator
        self._form: Form = form
        self._connect = connect
        self._choose = choose

    def test(self, job: Job, candidate: bytes) -> None:
        """Log in with the candidate."""
        login = self._read(candidate)
        where = login.connection(self._form, self._connect)
        with _told(f"log in as {login.user}"), _session(where, job.timeout, login) as session:
            session.execute("SELECT 1")

    def _read(self, value: bytes) -> Login:
        return Login.read(value, self._form)

    def _current(self, job: Job) -> Login:
        if job.current is None:
            raise RotatorError(
                f"{job.secret} has no usable version, so it is not known where the database is: add one by hand first"
            )
        return self._read(job.current)

    def _new_password(self) -> str:
        return "".join(self._choose(_LETTERS) for _ in range(_PASSWORD_LENGTH))

    @contextlib.contextmanager
    def _as_administrator(self, job: Job, what: str) -> "Iterator[psycopg.Connection[Any]]":
        administrator = Login.read(job.read(self._administrator), "url")
        with _told(what), _session(administrator.connection("url", ""), job.timeout, administrator) as session:
            yield session

    def _set(self, job: Job, login: Login) -> None:
        from psycopg import sql

        with self._as_administrator(job, f"set the password of {login.user}") as session:
            if session.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (login.user,)).fetchone() is None:
                raise RotatorError(
                    f"the database has no role {login.user}; create it with the rights of the one before, once"
                )
            verifier = session.pgconn.encrypt_password(
                login.password.encode(), login.user.encode(), b"scram-sha-256"
            ).decode()
            session.execute(
                sql.SQL("ALTER ROLE {} WITH LOGIN PASSWORD {}").format(
                    sql.Identifier(login.user), sql.Literal(verifier)
                )
            )


class PostgresSingle(_Postgres):
    """Change the password of the one role that services use.

    From the moment of its change until a service has the new version, that service cannot open new connections: the
    database knows one password of a role. Where that matters, use two roles in turn (`postgres-alternating`).

    Args:
        administrator: the secret whose value is the URL of somebody who may change the role's password.
        form: what the secret holds: url, json (with username and password) or password.
        user: the role, where the form is password.
        connect: how libpq finds the database, without user and password, where the form does not say.
        choose: picks one of some letters, so that nobody can guess which.
    """

    overlap: Overlap = "none"
    one_at_a_time = False

    def __init__(
        self,
        *,
        administrator: str = "",
        form: Form = "url",
        user: str = "",
        connect: str = "",
        choose: Callable[[str], str] = secrets.choice,
    ) -> None:
        super().__init__(administrator=administrator, form=form, connect=connect, choose=choose)
        if form == "password" and not (user and connect):
            raise BadSettings("postgres-single: with form password, user and connect say whose it is and where")
        self._user = user

    def create(self, job: Job) -> bytes:
        """See `Rotator.create`."""
        before = Login(self._user, "") if self._form == "password" else self._current(job)
        return before.changed(before.user, self._new_password()).payload(self._form)

    def apply(self, job: Job, candidate: bytes) -> None:
        """Set the password."""
        self._set(job, self._read(candidate))

    def revoke(self, _job: Job, _old: bytes) -> None:
        """Nothing: the new password took the place of the old one."""

    def _read(self, value: bytes) -> Login:
        return Login.read(value, self._form, user=self._user)


class PostgresAlternating(_Postgres):
    """Give the new password to the other of two roles, and lock the old one when nobody uses it any more.

    Both roles exist beforehand with the same rights. The old one works until it is revoked, so no service is ever
    without a password that works.

    Args:
        administrator: the secret whose value is the URL of somebody who may change both roles.
        users: the two roles.
        form: what the secret holds: url or json (with username and password).
        connect: how libpq finds the database, where the form does not say.
        end_sessions: whether sessions of the locked role are ended too.
        choose: picks one of some letters, so that nobody can guess which.
    """

    overlap: Overlap = "until revoked"
    one_at_a_time = True

    def __init__(
        self,
        *,
        administrator: str = "",
        users: Sequence[str] = (),
        form: Form = "url",
        connect: str = "",
        end_sessions: bool = True,
        choose: Callable[[str], str] = secrets.choice,
    ) -> None:
        super().__init__(administrator=administrator, form=form, connect=connect, choose=choose)
        if form == "password":
            raise BadSettings("postgres-alternating: the secret must hold the user too: form is url or json")
        if isinstance(users, str) or len(set(users)) != 2:  # two take turns
            raise BadSettings("postgres-alternating: users are two roles, which take turns")
        self._users = tuple(users)
        self._end_sessions = end_sessions

    def create(self, job: Job) -> bytes:
        """See `Rotator.create`."""
        before = self._current(job)
        first, second = self._users
        return before.changed(second if before.user == first else first, self._new_password()).payload(self._form)

    def apply(self, job: Job, candidate: bytes) -> None:
        """Set the password of the role whose turn it is."""
        login = self._read(candidate)
        if job.current is not None and self._read(job.current).user == login.user:
            raise RotatorError(f"{login.user} is in use; the candidate is of the role whose turn it is not")
        self._set(job, login)

    def revoke(self, job: Job, old: bytes) -> None:
        """Lock the role of the old value, unless it is the one in use."""
        from psycopg import sql

        user = self._read(old).user
        if user == self._current(job).user or user not in self._users:
            return
        with self._as_administrator(job, f"lock {user}") as session:
            session.execute(sql.SQL("ALTER ROLE {} WITH NOLOGIN PASSWORD NULL").format(sql.Identifier(user)))
            if self._end_sessions:
                session.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (user,))


@contextlib.contextmanager
def _session(where: str, seconds: float, login: Login) -> "Iterator[psycopg.Connection[Any]]":
    import psycopg
    from psycopg.conninfo import make_conninfo

    limit = max(1, int(seconds * 1000 / 2))
    conninfo = make_conninfo(
        where,
        user=login.user,
        password=login.password,
        connect_timeout=_LONGEST_CONNECT,
        application_name="keyturn",
        options=f"-c statement_timeout={limit} -c lock_timeout={limit}",
    )
    with psycopg.connect(conninfo, autocommit=True) as session:
        yield session


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Tell the database's refusals without its words, which may hold what was sent."""
    import psycopg

    try:
        yield
    except psycopg.Error as exc:
        state = f" (SQLSTATE {exc.sqlstate})" if exc.sqlstate else ""
        # Class 28 is a refused login; while connecting, libpq tells no state.
        refused = isinstance(exc, psycopg.OperationalError) and "authentication failed" in str(exc)
        raise RotatorError(f"could not {what}: {type(exc).__name__}{state}", refused=refused) from None
