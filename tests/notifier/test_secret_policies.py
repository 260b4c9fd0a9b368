"""Callers that say who they are, what they may do, and how much of it."""

import pytest
import requests
from google.api_core import exceptions

from notifier.local.cloud import LocalCloud
from notifier.local.rpc import Refusal
from notifier.local.secret_quotas import UNLIMITED, Limits


APP = "serviceAccount:app@demo.iam.gserviceaccount.com"
ACCESSOR = "roles/secretmanager.secretAccessor"


@pytest.fixture
def db(cloud):
    return cloud.create_secret("db", b"one")


def said(who=APP):
    return {"metadata": (("x-keyturn-caller", who),)}


def bearer(token):
    return {"metadata": (("authorization", f"Bearer {token}"),)}


def claims(cloud, **changed):
    return cloud.issuer.claims(audience="any", email=APP.partition(":")[2], **changed)


def read(client, db, **more):
    return client.access_secret_version(name=f"{db}/versions/latest", retry=None, **more).payload.data


def test_who_says_nothing_may_do_everything(client, db):
    """A caller without an identity is let through, as local tools expect."""
    assert b"one" == read(client, db)
    assert b"one" == read(client, db, **bearer("ya29.opaque"))


def test_who_says_who_it_is_needs_to_be_granted(cloud, client, db):
    """A caller with an identity may do what the secret's policy grants it, and nothing else."""
    with pytest.raises(exceptions.PermissionDenied) as refused:
        read(client, db, **said())
    assert (
        f"Permission 'secretmanager.versions.access' denied for resource '{db}/versions/latest' (or it may not exist)."
        == refused.value.message
    )
    assert ["PERMISSION_DENIED"] == [call.status for call in cloud.secret_manager.log.calls(db)]

    policy = client.get_iam_policy(request={"resource": db})
    policy.bindings.add(role=ACCESSOR, members=[APP])
    client.set_iam_policy(request={"resource": db, "policy": policy})

    assert b"one" == read(client, db, **said())
    for method in (client.get_secret, client.delete_secret):
        with pytest.raises(exceptions.PermissionDenied):
            method(name=db, **said())
    with pytest.raises(exceptions.PermissionDenied):
        client.access_secret_version(name=f"{db}x/versions/1", **said())
    asked = ["secretmanager.versions.access", "secretmanager.versions.add"]
    test = client.test_iam_permissions(request={"resource": db, "permissions": asked}, **said())
    assert asked[:1] == list(test.permissions)


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("roles/secretmanager.viewer", {"get", "list"}),
        ("roles/secretmanager.secretVersionAdder", {"add"}),
        ("roles/secretmanager.secretVersionManager", {"add", "disable", "list"}),
        ("roles/secretmanager.admin", {"access", "add", "create", "disable", "get", "list"}),
        ("roles/editor", {"add", "create", "disable", "get", "list"}),
        ("roles/none", set()),
    ],
)
def test_roles_of_a_project(cloud, client, db, role, may):
    """A role that is granted of the project holds for each of its secrets, and for no other project's."""
    cloud.secret_manager.grant("projects/demo", role, APP)
    calls = {
        "access": lambda: read(client, db, **said()),
        "add": lambda: client.add_secret_version(parent=db, payload={"data": b"x"}, **said()),
        "create": lambda: client.create_secret(
            parent="projects/demo", secret_id="new", secret={"replication": {"automatic": {}}}, **said()
        ),
        "get": lambda: client.get_secret(name=db, **said()),
        "list": lambda: client.list_secret_versions(parent=db, **said()),
        "disable": lambda: client.disable_secret_version(name=f"{db}/versions/1", **said()),
    }

    def allowed(call):
        try:
            call()
        except exceptions.PermissionDenied:
            return False
        return True

    assert may == {name for name, call in calls.items() if allowed(call)}
    with pytest.raises(exceptions.PermissionDenied):
        client.get_secret(name="projects/other/secrets/db", **said())


@pytest.mark.parametrize("member", ["allUsers", "allAuthenticatedUsers", "domain:demo.iam.gserviceaccount.com", APP])
def test_members(cloud, client, db, member):
    """A binding means its members, a domain's people or everybody."""
    cloud.secret_manager.grant(db, ACCESSOR, member)

    assert b"one" == read(client, db, **said())


def test_a_token_of_the_issuer_says_who_calls(cloud, client, db):
    """A token that the local issuer signed names the caller, by gRPC and by REST."""
    token = cloud.issuer.sign(claims(cloud))
    url = f"{cloud.secret_manager.rest_url}/v1/projects/demo/secrets/db/versions/1:access"
    with pytest.raises(exceptions.PermissionDenied, match="or it may not exist"):
        read(client, db, **bearer(token))
    assert 403 == requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=5).status_code
    cloud.secret_manager.grant(db, ACCESSOR, APP)

    assert b"one" == read(client, db, **bearer(token))
    assert 200 == requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=5).status_code
    assert 0 == cloud.issuer.fetches


@pytest.mark.parametrize("wrong", ["forged", "expired", "stranger"])
def test_bad_tokens(cloud, client, db, wrong):
    """A token that somebody else signed, that is over or that names another issuer is no identity at all."""
    tokens = {
        "forged": lambda: cloud.issuer.forge(claims(cloud)),
        "expired": lambda: cloud.issuer.sign(claims(cloud, exp=1)),
        "stranger": lambda: cloud.issuer.sign(claims(cloud, iss="https://evil.example")),
    }

    with pytest.raises(exceptions.Unauthenticated):
        read(client, db, **bearer(tokens[wrong]()))


def test_who_is_no_member_is_refused(client, db):
    """An identity that no policy could name is a mistake, and told."""
    with pytest.raises(exceptions.InvalidArgument):
        read(client, db, **said("app"))


def test_policies_go_with_their_secret(cloud, client, db):
    """A new secret of an old name has no policy."""
    cloud.secret_manager.grant(db, ACCESSOR, APP)
    cloud.secret_manager.delete_secret(db)
    with pytest.raises(exceptions.NotFound):
        client.get_iam_policy(request={"resource": db})
    cloud.create_secret("db", b"two")

    with pytest.raises(exceptions.PermissionDenied):
        read(client, db, **said())
    assert not client.get_iam_policy(request={"resource": db}).bindings


def test_policies_that_cannot_be(client, db):
    """A policy read before another change, one with a condition, and wildcards are refused."""
    old = client.get_iam_policy(request={"resource": db})
    client.set_iam_policy(request={"resource": db, "policy": {"bindings": [{"role": ACCESSOR, "members": [APP]}]}})

    with pytest.raises(exceptions.Aborted):
        client.set_iam_policy(request={"resource": db, "policy": old})
    condition = {"role": ACCESSOR, "members": [APP], "condition": {"expression": "true"}}
    with pytest.raises(exceptions.MethodNotImplemented):
        client.set_iam_policy(request={"resource": db, "policy": {"bindings": [condition]}})
    with pytest.raises(exceptions.InvalidArgument):
        client.test_iam_permissions(request={"resource": db, "permissions": ["secretmanager.*"]})
    gone = client.test_iam_permissions(request={"resource": f"{db}x", "permissions": ["secretmanager.secrets.get"]})
    assert [] == list(gone.permissions)


@pytest.fixture
def limited(wall):
    """A cloud with small quotas and without the soft ones, on a wall that stands still."""
    with LocalCloud(project="demo", wall=wall) as running:
        running.create_secret("db", b"one")
        running.secret_manager.limit(Limits(access=3, read=2, write=1, soft=False))
        yield running


def test_quotas_of_a_project(limited):
    """Beyond its quota a project is refused, each kind of call for itself, until a minute has passed."""
    client, db = limited.secret_manager_client(), limited.secret("db")
    calls = {
        3: lambda: read(client, db),
        2: lambda: client.get_secret(name=db),
        1: lambda: client.add_secret_version(parent=db, payload={"data": b"x"}),
    }
    for allowed, call in calls.items():
        for _ in range(allowed):
            call()
        with pytest.raises(exceptions.ResourceExhausted, match="Quota exceeded"):
            call()
    # Another project is not concerned.
    with pytest.raises(exceptions.NotFound):
        read(client, "projects/other/secrets/db")

    limited.advance(60)
    for call in calls.values():
        call()
    limited.secret_manager.limit(UNLIMITED)
    for _ in range(9):
        calls[1]()


def test_quotas_outlive_a_clock_that_is_put_back(limited, wall):
    """Calls of an hour that is still to come use nothing up; those since do."""
    limited.add_version("db", b"two")
    wall.now -= 3600
    limited.add_version("db", b"three")
    with pytest.raises(Refusal, match="Quota exceeded"):
        limited.add_version("db", b"four")


@pytest.mark.parametrize(
    ("place", "method", "allowed"),
    [
        ("", "add_version", 2),
        ("", "disable_version", 1),
        ("europe-west4", "add_version", 80),
        ("europe-west4", "disable_version", 50),
    ],
)
def test_soft_quotas_of_a_secret(wall, place, method, allowed):
    """A single secret takes so many changes in a second, a version so many changes of its state."""
    with LocalCloud(project="demo", wall=wall) as cloud:
        db = cloud.create_secret("db", b"one", location=place)
        cloud.secret_manager.limit()

        def change():
            getattr(cloud.secret_manager, method)(db, b"x" if method == "add_version" else 1)

        for _ in range(allowed):
            change()
        with pytest.raises(Refusal, match="per second"):
            change()
        wall.now += 1
        change()


def test_the_figures_of_production():
    """The quotas that are switched on without a figure are those of the documentation."""
    limits = Limits()

    assert (90_000, 600, 600, True) == (limits.access, limits.read, limits.write, limits.soft)
