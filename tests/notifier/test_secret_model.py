"""The local Secret Manager against a model of a few lines: whatever is done in whatever order, both agree."""

import json
from dataclasses import dataclass, field

import grpc
import pytest
from google.cloud.secretmanager_v1.types import service
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from notifier.local.names import project_number
from notifier.local.rpc import Refusal
from notifier.local.secret_manager import SecretManager
from notifier.local.secret_records import State


PARENT = f"projects/{project_number('demo')}"
TOPIC = "projects/demo/topics/news"
DAY = 86_400
CODE = grpc.StatusCode
BECOMES = {"Enable": "ENABLED", "Disable": "DISABLED", "Destroy": "DESTROYED"}


class Topics:
    """Where messages go: kept as (event, short name of the secret, number of the version or None, data)."""

    def __init__(self):
        self.sent = []

    def has_topic(self, topic):
        return topic == TOPIC

    def publish(self, topic, data, attributes):
        version = attributes.get("versionId", "").rpartition("/")[2]
        secret = attributes.get("secretId", "").rpartition("/")[2]
        told = json.loads(data) if data else {}
        self.sent.append((attributes["eventType"], secret, int(version) if version else None, told))


@dataclass
class Version:
    data: bytes
    state: str = "ENABLED"
    end: float | None = None


@dataclass
class Secret:
    versions: list = field(default_factory=list)
    aliases: dict = field(default_factory=dict)
    labels: dict = field(default_factory=dict)
    expires: float | None = None
    rotates: float | None = None
    delay: float = 0


names = st.sampled_from(["a", "b"])
numbers = st.integers(1, 4)
asked = st.one_of(numbers.map(str), st.sampled_from(["latest", "blue", "green"]))


class Model(RuleBasedStateMachine):
    """Calls go through the same gate as those by gRPC and REST; time moves only when a rule moves it."""

    def __init__(self):
        super().__init__()
        self.now = 1_790_917_413.0
        self.secrets = {}
        self.expected = []

    @initialize()
    def start(self):
        self.topics = Topics()
        self.cloud = SecretManager(topics=self.topics, wall=lambda: self.now)

    def teardown(self):
        if hasattr(self, "cloud"):
            self.cloud.stop()

    def call(self, method, request, code=None):
        """Call, and expect the refusal with the code where there is one; None then."""
        if code is None:
            return self.cloud._call(method, request)
        with pytest.raises(Refusal) as refused:
            self.cloud._call(method, request)
        assert code is refused.value.code
        return None

    def say(self, event, name, number=None):
        self.expected.append((event, name, number))

    @rule(name=names, ttl=st.sampled_from([0, 3 * DAY]), period=st.sampled_from([0, DAY]), delay=st.booleans())
    def create(self, name, ttl, period, delay):
        """A secret that expires, rotates and delays, or not."""
        request = service.CreateSecretRequest.pb()(parent=PARENT, secret_id=name)
        secret = request.secret
        secret.replication.automatic.SetInParent()
        secret.topics.add(name=TOPIC)
        if ttl:
            secret.ttl.FromSeconds(ttl)
        if period:
            secret.rotation.rotation_period.FromSeconds(period)
            secret.rotation.next_rotation_time.FromSeconds(int(self.now) + period)
        if delay:
            secret.version_destroy_ttl.FromSeconds(DAY)
        # The test message goes out before anything else is known.
        self.say("TOPIC_CONFIGURED", "")
        if name in self.secrets:
            self.call("CreateSecret", request, CODE.ALREADY_EXISTS)
            return
        self.call("CreateSecret", request)
        self.secrets[name] = Secret(
            expires=self.now + ttl if ttl else None,
            rotates=self.now + period if period else None,
            delay=DAY if delay else 0,
        )
        self.say("SECRET_CREATE", name)

    @rule(name=names)
    def delete(self, name):
        """A secret goes with all it has."""
        request = service.DeleteSecretRequest.pb()(name=f"{PARENT}/secrets/{name}")
        self.call("DeleteSecret", request, None if name in self.secrets else CODE.NOT_FOUND)
        if self.secrets.pop(name, None):
            self.say("SECRET_DELETE", name)

    @rule(name=names, data=st.binary(min_size=1, max_size=4))
    def add(self, name, data):
        """Versions are numbered from 1 on."""
        request = service.AddSecretVersionRequest.pb()(parent=f"{PARENT}/secrets/{name}")
        request.payload.data = data
        answer = self.call("AddSecretVersion", request, None if name in self.secrets else CODE.NOT_FOUND)
        if answer is not None:
            versions = self.secrets[name].versions
            versions.append(Version(data))
            assert f"{PARENT}/secrets/{name}/versions/{len(versions)}" == answer.name
            self.say("SECRET_VERSION_ADD", name, len(versions))

    @rule(name=names, number=numbers, verb=st.sampled_from(["Enable", "Disable", "Destroy"]))
    def move(self, name, number, verb):
        """States move at will, but never out of the last one."""
        secret = self.secrets.get(name)
        code = CODE.NOT_FOUND if secret is None or number > len(secret.versions) else None
        if code is None and secret.versions[number - 1].state == "DESTROYED":
            code = CODE.FAILED_PRECONDITION
        request = getattr(service, f"{verb}SecretVersionRequest").pb()
        self.call(f"{verb}SecretVersion", request(name=f"{PARENT}/secrets/{name}/versions/{number}"), code)
        if code is not None:
            return
        version, event = secret.versions[number - 1], f"SECRET_VERSION_{verb.upper()}"
        delayed = verb == "Destroy" and secret.delay
        version.end = self.now + secret.delay if delayed else None
        version.state = "DISABLED" if delayed else BECOMES[verb]
        self.say(f"{event}_SCHEDULED" if delayed else event, name, number)

    @rule(name=names, alias=st.sampled_from(["blue", "green"]), number=numbers, label=st.sampled_from(["x", "y"]))
    def update(self, name, alias, number, label):
        """Aliases and labels are replaced together, or not at all."""
        secret = self.secrets.get(name)
        code = CODE.NOT_FOUND if secret is None else None
        if secret is not None and number > len(secret.versions):
            code = CODE.INVALID_ARGUMENT
        request = service.UpdateSecretRequest.pb()()
        request.secret.name = f"{PARENT}/secrets/{name}"
        request.secret.version_aliases[alias] = number
        request.secret.labels["l"] = label
        request.update_mask.paths.extend(["version_aliases", "labels"])
        self.call("UpdateSecret", request, code)
        if code is None:
            secret.aliases, secret.labels = {alias: number}, {"l": label}
            self.say("SECRET_UPDATE", name)

    @rule(name=names, asked=asked)
    def access(self, name, asked):
        """What is asked for is what is served."""
        secret = self.secrets.get(name, Secret())
        number = int(asked) if asked.isdecimal() else secret.aliases.get(asked, 0)
        number = len(secret.versions) if asked == "latest" else number
        there = 1 <= number <= len(secret.versions)
        code = None if there else CODE.NOT_FOUND
        if there and secret.versions[number - 1].state != "ENABLED":
            code = CODE.FAILED_PRECONDITION
        request = service.AccessSecretVersionRequest.pb()(name=f"{PARENT}/secrets/{name}/versions/{asked}")
        answer = self.call("AccessSecretVersion", request, code)
        if answer is not None:
            assert (secret.versions[number - 1].data, number) == (
                answer.payload.data,
                int(answer.name.rpartition("/")[2]),
            )

    @rule(hours=st.sampled_from([1, 24, 50]))
    def wait(self, hours):
        """Time passes, and in its order happens what was planned."""
        self.now += hours * 3600
        while due := min(self._due(), default=None):
            _, rank, name, number = due
            secret = self.secrets[name]
            if rank == 0:
                del self.secrets[name]
                self.say("SECRET_DELETE", name)
            elif rank == 1:
                secret.versions[number - 1].state, secret.versions[number - 1].end = "DESTROYED", None
                self.say("SECRET_VERSION_DESTROY", name, number)
            else:
                secret.rotates += DAY
                self.say("SECRET_ROTATE", name)
        self.cloud.settle()

    def _due(self):
        """What is due, as (when, rank, secret, version): at one moment the end comes first, then versions."""
        for name, secret in self.secrets.items():
            ends = [(version.end, 1, number) for number, version in enumerate(secret.versions, 1)]
            for at, rank, number in [(secret.expires, 0, 0), (secret.rotates, 2, 0), *ends]:
                if at is not None and at <= self.now:
                    yield at, rank, name, number

    @invariant()
    def agree(self):
        """Secrets, versions, states, aliases, labels and what was announced are the model's."""
        if not hasattr(self, "cloud"):
            return
        listed = self.call("ListSecrets", service.ListSecretsRequest.pb()(parent=PARENT)).secrets
        assert set(self.secrets) == {secret.name.rpartition("/")[2] for secret in listed}
        for secret in listed:
            model = self.secrets[secret.name.rpartition("/")[2]]
            assert (model.aliases, model.labels) == (dict(secret.version_aliases), dict(secret.labels))
            assert secret.HasField("expire_time") is (model.expires is not None)
            if model.rotates:
                assert model.rotates == secret.rotation.next_rotation_time.seconds
            request = service.ListSecretVersionsRequest.pb()(parent=secret.name)
            versions = self.call("ListSecretVersions", request).versions
            assert [version.state for version in model.versions[::-1]] == [State(v.state).name for v in versions]
            assert [version.end for version in model.versions[::-1]] == [
                version.scheduled_destroy_time.seconds or None for version in versions
            ]
        assert sorted(self.expected, key=str) == sorted((sent[:3] for sent in self.topics.sent), key=str)
        for event, _, _, told in self.topics.sent:
            assert bool(told) is (event != "TOPIC_CONFIGURED")
            assert "payload" not in told


Model.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=5000,
    suppress_health_check=[HealthCheck.too_slow],
)


class TestSecretManager(Model.TestCase):
    """The Secret Manager is its model."""
