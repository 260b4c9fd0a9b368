"""Passwords of real PostgreSQL roles."""

import psycopg
import pytest

from notifier.rotation.machine import LEASE, Outcome
from notifier.rotation.plan import Plan
from notifier.rotation.rotator import Job, RotatorError, find
from notifier.rotation.rotators.login import Login
from notifier.rotation.state import Step
from receiver import SecretName
from tests.notifier.rotation.bench import Bench, Crash, Tripwire
from tests.servers.postgres import ADMIN, ADMIN_PASSWORD


FIRST = "canary-first-password"


@pytest.fixture
def admin(rotation_cloud, postgres, name):
    """The name of a secret that holds the administrator's URL."""
    rotation_cloud.create_secret(f"{name}_ADMIN", postgres.dsn(ADMIN, ADMIN_PASSWORD).encode())
    return f"{name}_ADMIN"


def alternating(cloud, postgres, name, admin):
    users = [postgres.role(FIRST), postgres.role(FIRST)]
    postgres.lock(users[1])
    rotator = find("postgres-alternating", {"administrator": admin, "users": users})
    return prepared(cloud, postgres, name, rotator, users[0])


def single(cloud, postgres, name, admin):
    rotator = find("postgres-single", {"administrator": admin})
    return prepared(cloud, postgres, name, rotator, postgres.role(FIRST))


def prepared(cloud, postgres, name, rotator, user):
    plan = Plan(SecretName(cloud.project, name), rotator="postgres", grace=60.0)
    bench = Bench(cloud, name, plan=plan, rotator=rotator)
    bench.vault.add(plan.secret, postgres.dsn(user, FIRST).encode())
    bench.vault.destroy(plan.secret, 1)
    bench.postgres = postgres
    return bench


KINDS = {"single": single, "alternating": alternating}


def accepted(url):
    """Whether the database lets somebody in."""
    try:
        with psycopg.connect(url.decode(), connect_timeout=5):
            return True
    except psycopg.OperationalError:
        return False


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_a_whole_rotation(rotation_cloud, postgres, name, admin, make):
    """The database accepts what is served, at the end only that, and neither password stands in what we write."""
    bench = make(rotation_cloud, postgres, name, admin)
    old = bench.served()[1]
    machine = bench.machine()
    for _ in range(3):
        machine.ask(bench.asks())
        machine.advance()
        bench.now += 61
        done = machine.advance()
        now = bench.served()[1]

        assert Outcome.DONE is done.outcome, done.why
        assert (accepted(now), accepted(old)) == (True, False)
        old = now


def test_both_work_until_the_old_one_is_locked(rotation_cloud, postgres, name, admin):
    """With two roles no service is ever without a password that works, and sessions of the locked role end."""
    bench = alternating(rotation_cloud, postgres, name, admin)
    old = bench.served()[1]
    machine = bench.machine()
    machine.ask(bench.asks())
    machine.advance()
    both = accepted(old), accepted(bench.served()[1])
    with psycopg.connect(old.decode()) as session:
        session.execute("SELECT 1")
        bench.now += 61
        machine.advance()
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")

    assert (True, True) == both
    assert not accepted(old)


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_a_rollback(rotation_cloud, postgres, name, admin, make):
    """The password before works again when its version is the newest again."""
    bench = make(rotation_cloud, postgres, name, admin)
    old = bench.served()[1]
    machine = bench.machine()
    machine.ask(bench.asks())
    machine.advance()
    machine.ask_back(bench.asks(1), 2)
    machine.advance(urgent=True)

    assert old == bench.served()[1]
    assert accepted(old)


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_a_crash_at_every_call(rotation_cloud, postgres, name, admin, make):
    """After whatever effect a process dies, the database in the end accepts exactly what is served."""
    wire = Tripwire()
    rotate(make(rotation_cloud, postgres, name, admin), wire)
    for at in range(wire.calls):
        bench = make(rotation_cloud, postgres, f"{name}_{at}", admin)
        old = bench.served()[1]
        stamp = bench.asks()
        with pytest.raises(Crash):
            rotate(bench, Tripwire(at))
        for _ in range(3):
            bench.now += LEASE
            machine = bench.machine()
            machine.ask(stamp)
            machine.advance()

        assert Step.IDLE is machine.standing()[0].step, at
        number, url = bench.served()
        assert (3, [3]) == (number, bench.enabled()), at
        assert (accepted(url), accepted(old)) == (True, False), at


def rotate(bench, wire):
    machine = bench.machine(wire)
    machine.ask(bench.asks())
    machine.advance()
    bench.now += 61
    machine.advance()


def test_the_server_never_sees_the_password(rotation_cloud, postgres, name, admin):
    """The server is given a verifier, so even a log of every statement has no password in it."""
    bench = single(rotation_cloud, postgres, name, admin)
    machine = bench.machine()
    user = Login.read(bench.served()[1], "url").user
    machine.ask(bench.asks())
    machine.advance()
    [(kept,)] = postgres.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", user)

    assert kept.startswith("SCRAM-SHA-256$")


@pytest.mark.parametrize(
    ("settings", "payload", "said"),
    [
        ({}, b"canary-no-url", "is no url with a user"),
        ({"form": "json"}, b'{"username": "canary"}', "is no json with a user"),
        ({"form": "json"}, b"[]", "is no json with a user"),
    ],
)
def test_a_value_that_cannot_be_read(admin, settings, payload, said):
    """A value of another form is refused before the database is touched, and nothing of it is repeated."""
    rotator = find("postgres-single", {"administrator": admin, **settings})
    with pytest.raises(RotatorError, match=said) as caught:
        rotator.create(job(current=payload))

    assert "canary" not in f"{caught.value!r}{caught.value.__cause__!r}"


def test_a_role_that_is_not_there(postgres, admin):
    """A missing role is named, and is not created with rights that nobody chose."""
    rotator = find("postgres-alternating", {"administrator": admin, "users": ["canary_a", "canary_b"]})
    url = postgres.dsn("canary_a", "x").encode()
    candidate = rotator.create(job(current=url))
    with pytest.raises(RotatorError, match="has no role canary_b"):
        rotator.apply(job(current=url, admin=postgres.dsn(ADMIN, ADMIN_PASSWORD)), candidate)


def test_an_administrator_who_is_refused(postgres, admin):
    """The database's refusal is told without its words and without the password."""
    rotator = find("postgres-single", {"administrator": admin})
    url = postgres.dsn(postgres.role(FIRST), FIRST).encode()
    with pytest.raises(RotatorError, match="could not set the password") as caught:
        rotator.apply(job(current=url, admin=postgres.dsn(ADMIN, "canary-wrong")), url)

    assert "canary" not in f"{caught.value} {caught.value.__cause__!r}"


def job(*, current=None, admin=""):
    return Job(SecretName("demo", "DB"), "k", 10.0, current, lambda _: admin.encode())


@pytest.mark.parametrize("password", ["p@ss/w:rd%25", "ü ", "plain"])
def test_urls_survive(password):
    """Whatever stands in a password, a URL is read as it was written."""
    login = Login.read(b"postgresql+asyncpg://u:x@[::1]:5432/db?sslmode=require", "url").changed("näme", password)
    again = Login.read(login.payload("url"), "url")

    assert ("näme", password) == (again.user, again.password)
    assert "postgresql://[::1]:5432/db?sslmode=require" == again.connection("url", "")


def test_json_keeps_its_other_keys():
    """What stands beside user and password stays, and says where the database is."""
    login = Login.read(b'{"username":"a","password":"b","host":"h","port":5432,"dbname":"it\'s"}', "json")
    again = Login.read(login.changed("c", "d").payload("json"), "json")

    assert ("c", "d") == (again.user, again.password)
    assert r"dbname='it\'s' host='h' port='5432'" == again.connection("json", "")
