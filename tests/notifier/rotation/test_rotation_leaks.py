"""No value in what rotation writes, says, keeps or raises: a canary goes through every step, success and failure."""

import logging
import traceback

import psycopg
import pytest

from notifier.rotation.retiring import retire_now
from notifier.rotation.rotator import Job, RotatorError, find
from notifier.rotation.rotators.login import Login
from receiver import SecretName
from tests.notifier.rotation.bench import Bench, Provider
from tests.servers.postgres import ADMIN, ADMIN_PASSWORD


CANARY = "canary"


@pytest.mark.promise("silent")
@pytest.mark.parametrize("trouble", ["none", "refused", "down"])
@pytest.mark.parametrize("overlap", ["until revoked", "none"])
def test_every_step(rotation_cloud, name, caplog, overlap, trouble):
    """Whatever happens to a rotation, its value is in no log entry, no annotation and no answer."""
    caplog.set_level(logging.DEBUG)
    bench = Bench(rotation_cloud, name, rotator=Provider(overlap=overlap))
    bench.provider.refuse, bench.provider.down = trouble == "refused", trouble == "down"
    machine = bench.machine()
    machine.ask(bench.asks())
    answers = [machine.advance(), retire_now(machine, bench.vault, force=True)]
    kept = bench.vault.describe(bench.plan.companion)

    written = [record.getMessage() + str(record.__dict__) for record in caplog.records]
    assert [line for line in written if "keyturn" in line]
    assert not [line for line in [*written, str(answers), str(kept), repr(machine.standing())] if CANARY in line]


@pytest.mark.promise("silent")
def test_a_real_database(rotation_cloud, postgres, name, caplog):
    """Neither the old nor the new password is in a log entry, ours or psycopg's."""
    caplog.set_level(logging.DEBUG)
    rotation_cloud.create_secret(f"{name}_ADMIN", postgres.dsn(ADMIN, ADMIN_PASSWORD).encode())
    bench = Bench(rotation_cloud, name, rotator=find("postgres-single", {"administrator": f"{name}_ADMIN"}))
    bench.vault.add(bench.plan.secret, postgres.dsn(postgres.role("canary-old"), "canary-old").encode())
    machine = bench.machine()
    machine.ask(bench.asks())
    machine.advance()
    new = Login.read(bench.served()[1], "url").password

    written = "".join(record.getMessage() + str(record.__dict__) for record in caplog.records)
    assert not [value for value in ("canary-old", new, ADMIN_PASSWORD) if value in written]


@pytest.mark.promise("silent")
def test_what_is_raised(postgres):
    """The traceback of a refusal, with all that led to it, has no password in it."""
    rotator = find("postgres-single", {"administrator": "ADMIN"})
    url = postgres.dsn("nobody", "canary-password").encode()
    job = Job(SecretName("demo", "DB"), "k", 5.0, url, lambda _: postgres.dsn(ADMIN, "canary-admin").encode())
    told = []
    for step in (rotator.test, rotator.apply):
        with pytest.raises(RotatorError) as caught:
            step(job, url)
        told.append("".join(traceback.format_exception(caught.value)))

    assert not [text for text in told if CANARY in text]
    assert all(psycopg.__name__ not in text for text in told)


@pytest.mark.promise("silent")
def test_what_is_shown():
    """The repr of what holds a value does not show it."""
    job = Job(SecretName("demo", "DB"), "k", 5.0, b"canary", lambda _: b"canary")
    login = Login("user", "canary", rest={"note": "canary"})

    assert CANARY not in repr(job) + repr(login) + repr(Login.read(b"postgresql://u:canary@h/db", "url"))
