"""Every RPC of SecretManagerService through each of the official clients: gRPC, gRPC with asyncio, and REST."""

import asyncio
import json
from dataclasses import dataclass, field

import google_crc32c
import grpc
import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import secretmanager
from google.cloud.secretmanager_v1.services.secret_manager_service import transports

from notifier.local.names import project_number
from notifier.local.secret_rpcs import RPCS


NUMBER = project_number("demo")
STATE = secretmanager.SecretVersion.State
CREDENTIALS = {"instance_id": "demo:main", "username": "app"}


class Blocking:
    """A client that answers at once, over gRPC or REST."""

    def __init__(self, client):
        self._client = client

    def __call__(self, method, **request):
        answer = getattr(self._client, method)(request=request)
        return list(answer) if hasattr(answer, "pages") else answer

    def close(self):
        self._client.transport.close()


class Async:
    """The client for asyncio, on a loop of its own."""

    def __init__(self, host):
        self._runner = asyncio.Runner()
        self._client = self._runner.run(self._made(host))

    async def _made(self, host):
        channel = grpc.aio.insecure_channel(host)
        transport = transports.SecretManagerServiceGrpcAsyncIOTransport(channel=channel)
        return secretmanager.SecretManagerServiceAsyncClient(transport=transport)

    async def _call(self, method, request):
        answer = await getattr(self._client, method)(request=request)
        return [row async for row in answer] if hasattr(answer, "pages") else answer

    def __call__(self, method, **request):
        return self._runner.run(self._call(method, request))

    def close(self):
        self._runner.run(self._client.transport.close())
        self._runner.close()


def rest_client(cloud):
    return secretmanager.SecretManagerServiceClient(
        transport="rest",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": cloud.secret_manager.rest_url},
    )


@pytest.fixture(params=["grpc", "asyncio", "rest"])
def call(request, cloud):
    """Call a method by the client's name for it, with a request; a list comes whole."""
    if request.param == "asyncio":
        client = Async(cloud.secret_manager.host)
    else:
        client = Blocking(cloud.secret_manager_client() if request.param == "grpc" else rest_client(cloud))
    yield client
    client.close()


@pytest.fixture(params=["", "europe-west4"], ids=["global", "regional"])
def place(request):
    return request.param


@dataclass(frozen=True)
class Case:
    """One RPC: what is asked of the secret `db` (with one version, `one`), and what must be true of the answer."""

    method: str
    right: object
    request: dict = field(default_factory=dict)
    where: str = "name"
    after: str = ""


CASES = [
    Case("get_secret", lambda a, db: db == a.name and {"env": "prod"} == dict(a.labels)),
    Case("list_secrets", lambda a, db: [db] == [s.name for s in a], {"filter": "name:db"}, "parent", "^"),
    Case(
        "update_secret",
        lambda a, _: {"blue": 1} == dict(a.version_aliases) and {} == dict(a.labels),
        {"secret": {"version_aliases": {"blue": 1}}, "update_mask": {"paths": ["version_aliases", "labels"]}},
        "secret",
    ),
    Case("delete_secret", lambda a, _: a is None),
    Case(
        "add_secret_version",
        lambda a, db: f"{db}/versions/2" == a.name and a.client_specified_payload_checksum,
        {"payload": {"data": b"\0two\xff", "data_crc32c": google_crc32c.value(b"\0two\xff")}},
        "parent",
    ),
    Case("get_secret_version", lambda a, _: STATE.ENABLED == a.state, after="/versions/latest"),
    Case("list_secret_versions", lambda a, db: [f"{db}/versions/1"] == [v.name for v in a], where="parent"),
    Case(
        "access_secret_version",
        lambda a, db: (
            (f"{db}/versions/1", b"one", google_crc32c.value(b"one")) == (a.name, a.payload.data, a.payload.data_crc32c)
        ),
        after="/versions/latest",
    ),
    Case("disable_secret_version", lambda a, _: STATE.DISABLED == a.state, after="/versions/1"),
    Case("enable_secret_version", lambda a, _: STATE.ENABLED == a.state, after="/versions/1"),
    Case("destroy_secret_version", lambda a, _: STATE.DESTROYED == a.state, after="/versions/1"),
    Case(
        "set_iam_policy",
        lambda a, _: ["user:a@b.c"] == a.bindings[0].members and a.etag,
        {"policy": {"bindings": [{"role": "roles/viewer", "members": ["user:a@b.c"]}]}},
        "resource",
    ),
    Case("get_iam_policy", lambda a, _: b"\x00\x20\x01" == a.etag, {"options": {}}, "resource"),
    Case(
        "test_iam_permissions",
        lambda a, _: ["secretmanager.secrets.get"] == list(a.permissions),
        {"permissions": ["secretmanager.secrets.get"]},
        "resource",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.method)
def test_every_rpc(cloud, call, case, place):
    """Each RPC gives each client the same answer, globally and regionally."""
    db = cloud.create_secret("db", b"one", location=place)
    call("update_secret", secret={"name": db, "labels": {"env": "prod"}}, update_mask={"paths": ["labels"]})
    resource = db.partition("/secrets/")[0] if case.after == "^" else db + case.after
    request = dict(case.request)
    request[case.where] = {**request["secret"], "name": db} if case.where == "secret" else resource

    assert case.right(call(case.method, **request), db)


def test_create(call, place):
    """A secret is created with all that it may have."""
    parent = f"projects/demo/locations/{place}" if place else "projects/demo"
    secret = {
        "labels": {"a": "b"},
        "annotations": {"c": "d"},
        "ttl": {"seconds": 3600},
        "version_destroy_ttl": {"seconds": 86_400},
        **({} if place else {"replication": {"user_managed": {"replicas": [{"location": "us-east1"}]}}}),
    }

    made = call("create_secret", parent=parent, secret_id="new", secret=secret)

    assert f"{parent}/secrets/new".replace("demo", NUMBER) == made.name
    assert made.expire_time > made.create_time
    assert (86_400, {"c": "d"}) == (made.version_destroy_ttl.total_seconds(), dict(made.annotations))
    version = call("add_secret_version", parent=made.name, payload={"data": b"x"})
    replicas = [replica.location for replica in version.replication_status.user_managed.replicas]
    assert replicas == ([] if place else ["us-east1"])


def test_managed_rotation(call):
    """A managed secret gets a first version and then further ones with new passwords, and is enabled once."""
    parent = "projects/demo/locations/europe-west4"
    made = call("create_secret", parent=parent, secret_id="sql", secret={"secret_type": "CLOUD_SQL_DB_CREDENTIALS"})
    with pytest.raises(exceptions.BadRequest):
        call("rotate_secret", parent=made.name)

    first = call("enable_managed_rotation", parent=made.name, cloud_sql_single_user_credentials=CREDENTIALS)
    second = call("rotate_secret", parent=made.name)

    assert [f"{made.name}/versions/{n}" for n in (1, 2)] == [first.name, second.name]
    values = [json.loads(call("access_secret_version", name=version.name).payload.data) for version in (first, second)]
    assert ["app", "app"] == [value["username"] for value in values]
    assert values[0]["password"] != values[1]["password"]
    assert "ACTIVE" == call("get_secret", name=made.name).rotation.managed_rotation_status.state.name
    with pytest.raises(exceptions.BadRequest):
        call("enable_managed_rotation", parent=made.name, cloud_sql_single_user_credentials=CREDENTIALS)


def test_managed_rotation_is_for_typed_regional_secrets(cloud, call):
    """Other secrets are refused."""
    for name in (cloud.create_secret("db"), cloud.create_secret("db", location="us-east1")):
        with pytest.raises(exceptions.InvalidArgument if isinstance(call, Async) else exceptions.BadRequest):
            call("enable_managed_rotation", parent=name, cloud_sql_single_user_credentials=CREDENTIALS)


def test_locations(call):
    """The places are listed and described."""
    places = call("list_locations", name="projects/demo").locations

    assert "europe-west4" in [place.location_id for place in places]
    assert "us-east1" == call("get_location", name=f"projects/{NUMBER}/locations/us-east1").location_id
    with pytest.raises(exceptions.NotFound):
        call("get_location", name="projects/demo/locations/moon")


def test_refusals(cloud, call):
    """What is refused is the same error, with the same words, for each client."""
    db = cloud.create_secret("db", b"one")
    cloud.secret_manager.disable_version(db, 1)

    with pytest.raises(exceptions.BadRequest, match=r"Secret Version \[.*/versions/1\] is in DISABLED state\."):
        call("access_secret_version", name=f"{db}/versions/latest")
    with pytest.raises(exceptions.NotFound, match=r"Secret \[.*\] not found or has no versions\."):
        call("access_secret_version", name=f"{db}x/versions/1")
    with pytest.raises((exceptions.AlreadyExists, exceptions.Conflict)):
        call("create_secret", parent="projects/demo", secret_id="db", secret={"replication": {"automatic": {}}})


def test_no_rpc_is_missing():
    """All that the installed client can call is served, and shown above or in a test of its own."""
    shown = {case.method for case in CASES} | {
        "create_secret", "enable_managed_rotation", "rotate_secret", "list_locations", "get_location",
    }  # fmt: skip
    named = {"".join(part.title() for part in method.split("_")) for method in shown}
    transport = transports.SecretManagerServiceTransport
    known = {name for name in vars(transport) if isinstance(vars(transport)[name], property)} - {"host", "kind"}

    assert set(RPCS) == named
    assert known == shown
