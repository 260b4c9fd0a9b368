"""What an instance is called, by each platform's word, and that asking for it holds up nobody."""

import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from receiver import SecretCache
from receiver.instance import METADATA_VARIABLE, Instance, Platform, platform
from tests.waiting import until


POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "pay-6d4b75cb6d-hs7vk"}


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, Platform()),
        ({"HOSTNAME": "laptop"}, Platform()),
        ({"K_SERVICE": "pay", "K_REVISION": "pay-00007-abc"}, Platform("pay", "pay-00007-abc", cloud_run=True)),
        ({"K_SERVICE": "pay", **POD}, Platform("pay", "", cloud_run=True)),
        ({"CLOUD_RUN_JOB": "nightly", "CLOUD_RUN_EXECUTION": "nightly-x"}, Platform("nightly", "nightly-x", "", True)),
        (
            {"CLOUD_RUN_WORKER_POOL": "jobs", "CLOUD_RUN_WORKER_POOL_REVISION": "jobs-1"},
            Platform("jobs", "jobs-1", "", True),
        ),
        (POD, Platform(instance="pay-6d4b75cb6d-hs7vk")),
        ({**POD, "POD_NAME": "pay-0"}, Platform(instance="pay-0")),
    ],
    ids=str,
)
def test_each_platform_is_read_by_its_own_variables(environ, found):
    """Service, revision and instance come from the variables that the platform documents."""

    assert found == platform(environ)


def test_a_pod_is_the_instance(tmp_path):
    """In Kubernetes the instance is called as its pod, and the service as its author called it."""
    instance = Instance(service="pay", environ=POD)
    instance.find(tmp_path)

    assert ("pay", "", "pay-6d4b75cb6d-hs7vk") == (instance.service, instance.revision, instance.id)


def test_elsewhere_the_workers_of_a_container_agree_on_a_name(tmp_path):
    """Where no platform names the instance, whoever starts first does, however many start at once."""
    instances = [Instance(environ={}) for _ in range(16)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda instance: instance.find(tmp_path), instances))

    assert 1 == len({instance.id for instance in instances} | {instance.token for instance in instances})
    assert ["instance"] == [path.name for path in tmp_path.iterdir()]


def test_a_name_outlives_the_directory(tmp_path):
    """When somebody has removed the directory's files, a worker that is still there brings the old name back."""
    old, new = Instance(environ={}), Instance(environ={})
    old.find(tmp_path)
    (tmp_path / "instance").unlink()
    old.find(tmp_path)
    new.find(tmp_path)

    assert old.id == new.id


def test_a_full_disk_costs_the_common_name_only(tmp_path):
    """Where nothing can be written, the process still has a name."""
    instance = Instance(environ={})
    instance.find(tmp_path / "missing")

    assert instance.id == instance.token != ""


class Metadata(HTTPServer):
    """A metadata server that answers when it is told to."""

    def __init__(self, answer):
        self.answer, self.go, self.asked = answer, threading.Event(), []
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def environ(self):
        return {"K_SERVICE": "pay", "K_REVISION": "pay-1", METADATA_VARIABLE: f"127.0.0.1:{self.server_port}"}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path, self.headers["Metadata-Flavor"]))
        self.server.go.wait(10)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_):
        pass


@pytest.fixture
def metadata(request):
    serving = Metadata(request.param)
    yield serving
    serving.go.set()
    serving.shutdown()
    serving.server_close()


@pytest.mark.parametrize("metadata", [b"00bf4bf02d7e\n"], indirect=True)
def test_cloud_run_is_asked_and_not_waited_for(metadata, tmp_path):
    """On Cloud Run the metadata server says the id; until it does there is none, and nobody waits."""
    instance = Instance(environ=metadata.environ)
    instance.find(tmp_path)
    before = instance.id
    metadata.go.set()
    until(lambda: instance.id, "the instance has a name", 10.0)

    assert ("", "00bf4bf02d7e", "pay", "pay-1") == (before, instance.id, instance.service, instance.revision)
    assert [("/computeMetadata/v1/instance/id", "Google")] == metadata.asked


@pytest.mark.parametrize("metadata", [b"<html>a captive portal</html>", b"", b"x" * 300], indirect=True)
def test_what_is_no_id_is_not_believed(metadata, tmp_path):
    """An answer that is no id leaves the instance with the name that its workers gave it."""
    metadata.go.set()
    instance = Instance(environ=metadata.environ)
    instance.find(tmp_path)
    until(lambda: instance.id, "the instance has a name", 10.0)

    assert instance.token == instance.id


def on_cloud_run(ask):
    return Instance(environ={"K_SERVICE": "pay"}, ask=lambda _: ask())


def test_the_workers_of_a_container_call_it_as_the_first_that_knew(tmp_path):
    """Where the metadata server answers some workers only, all have one name: their subscription is named by it."""
    first, second = on_cloud_run(lambda: "00bf4bf02d7e"), on_cloud_run(lambda: None)
    for instance in (first, second):
        instance.find(tmp_path)
        until(lambda instance=instance: instance.id, "the instance has a name", 10.0)

    assert ["00bf4bf02d7e"] * 2 == [first.id, second.id]


def test_who_has_no_answer_yet_knows_what_another_worker_does(tmp_path):
    """A worker that ends before the metadata server has answered it deletes the subscription that another has made."""
    answered = threading.Event()
    waiting, knowing = on_cloud_run(lambda: answered.wait(10) and None), on_cloud_run(lambda: "00bf4bf02d7e")
    waiting.find(tmp_path)
    before = waiting.id
    knowing.find(tmp_path)
    until(lambda: knowing.id, "the instance has a name", 10.0)
    after = waiting.id
    answered.set()

    assert ("", "00bf4bf02d7e") == (before, after)


def test_a_cache_says_where_it_runs(tmp_path):
    """The status names service, revision and instance; nothing is read before the cache is used."""
    environ = {}
    cache = SecretCache("p", environ=environ, run_dir=str(tmp_path), backstop=None)
    environ |= {**POD, "K_REVISION": "unread"}
    cache.load()
    status = cache.status()
    cache.close()

    assert ("", "", "pay-6d4b75cb6d-hs7vk") == (status["service"], status["revision"], status["instance"])
