"""Metrics and traces by OpenTelemetry, in a process of its own, since its providers are the process's."""

import gc
import json
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from receiver import SecretCache
from receiver.otel import OUTCOMES, Instruments
from receiver.testing import InMemorySource
from tests.documents import TEXT


ROOT = Path(__file__).parents[2]


RUN = """
import json, sys, tempfile
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

reader, spans = InMemoryMetricReader(), InMemorySpanExporter()
metrics.set_meter_provider(MeterProvider([reader]))
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)

from receiver import Insecure, OIDC, SecretCache
from receiver.handler import PushHandler
from receiver.testing import InMemorySource

source = InMemorySource({"API_KEY": "one"})
cache = SecretCache("any-project", source=source, run_dir=tempfile.mkdtemp(), backstop=None)
cache.secret("API_KEY", type="text")
cache.load()
source.add("API_KEY", "canary-two")
handler = PushHandler(cache, Insecure("a test of what is measured"))
body = json.loads(source.pushes()[-1])
body["message"]["attributes"]["googclient_traceparent"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
handler({}, None, lambda _: json.dumps(body).encode())
PushHandler(cache, OIDC(audience="https://a.example", sender="b@example.com"))({}, None, None)
shown = {}
for resource in reader.get_metrics_data().resource_metrics:
    for scope in resource.scope_metrics:
        for metric in scope.metrics:
            shown[metric.name] = [
                [dict(p.attributes), getattr(p, "value", None) if hasattr(p, "value") else p.count]
                for p in metric.data.data_points
            ]
ended = [[s.name, f"{s.context.trace_id:032x}", f"{s.parent.span_id:016x}", dict(s.attributes)]
         for s in spans.get_finished_spans()]
print(json.dumps({"metrics": shown, "spans": ended}))
cache.close()
"""


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.fixture(scope="module")
def measured():
    done = run(RUN)
    assert 0 == done.returncode, done.stderr
    assert "canary" not in done.stdout + done.stderr
    return json.loads(done.stdout)


def test_refreshes_are_counted_by_outcome(measured):
    """With how long each took since its event, and what Secret Manager took."""
    metrics, secret = measured["metrics"], "projects/any-project/secrets/API_KEY"

    assert {("loaded", 1), ("refreshed", 1)} == {(a["outcome"], n) for a, n in metrics["keyturn.refreshes"]}
    assert [[{"secret": secret}, 1]] == metrics["keyturn.propagation"]
    assert [[{"secret": secret}, 2]] == metrics["keyturn.fetch"]


def test_pushes_are_counted_by_answer_and_refusal(measured):
    """Those that were let in by how they were answered; strangers by the status."""
    assert [[{"answer": "APPLIED"}, 1]] == measured["metrics"]["keyturn.pushes"]
    assert [[{"status": "401"}, 1]] == measured["metrics"]["keyturn.pushes_refused"]


def test_what_is_served_can_be_watched(measured):
    """How many entries are behind, and for how long each version has been served."""
    ((about, age),) = measured["metrics"]["keyturn.version_age"]

    assert [[{}, 0]] == measured["metrics"]["keyturn.entries_behind"]
    assert ({"secret": "projects/any-project/secrets/API_KEY", "version": 2}, True) == (about, 0 <= age < 60)


def test_a_push_continues_the_publishers_trace(measured):
    """The trace that Pub/Sub's client put into the message goes on in the service."""
    assert [
        [
            "keyturn.push",
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "00f067aa0ba902b7",
            measured["spans"][0][3],
        ]
    ] == measured["spans"]
    assert {"secret", "type"} == measured["spans"][0][3].keys()


def test_without_the_api_package_nothing_is_measured():
    """Whoever has not installed it pays nothing, and loses nothing else."""
    done = run(
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from receiver.otel import Instruments\n"
        "made = Instruments(list, wall=lambda: 0); made.start(); made.record('loaded', {})\n"
        "with made.span('x', parent=None): print('ran')"
    )

    assert ("ran\n", "") == (done.stdout, done.stderr)


def test_every_metric_is_explained():
    """The README's table of metrics and the instruments are the same."""
    table = TEXT.split("| metric | kind | what |", 1)[1].split("\n\n", 1)[0]
    code = (ROOT / "receiver" / "otel.py").read_text()
    made = {text.split('"')[1] for text in code.split("meter.create_")[1:]}

    assert made == {line.split("`")[1] for line in table.splitlines()[2:]}
    assert all(f"`{outcome}`" in TEXT for outcome in OUTCOMES)


def test_the_example_for_prometheus_serves_metrics(tmp_path):
    """The README's example, as it stands, shows keyturn's metrics to a scraper."""
    block = TEXT.split("start_http_server", 1)
    start = block[0].rindex("```python\n") + len("```python\n")
    code = TEXT[start : TEXT.index("```", len(block[0]))].replace("port=9464", "port=0")
    driver = f"""
import os, urllib.request
os.environ["KEYTURN_RUN_DIR"] = {str(tmp_path)!r}
import prometheus_client
begun = []
start = prometheus_client.start_http_server
prometheus_client.start_http_server = lambda **named: begun.append(start(addr="127.0.0.1", **named))
{code}
from receiver import SecretCache
from receiver.testing import InMemorySource
cache = SecretCache("p", source=InMemorySource({{"API_KEY": "one"}}), backstop=None)
cache.secret("API_KEY")
cache.load()
port = begun[0][0].server_port
page = urllib.request.urlopen(f"http://127.0.0.1:{{port}}/metrics").read().decode()
print([line for line in page.splitlines() if line.startswith("keyturn_refreshes")])
cache.close()
os._exit(0) if False else None
"""
    done = run(driver)

    assert 'outcome="loaded"' in done.stdout, done.stderr


def test_instruments_that_were_not_started_measure_nothing():
    """A cache that has not joined its container counts nothing."""
    made = Instruments(list, wall=lambda: 0)

    made.record("loaded", {"secret": "x"})
    with made.span("keyturn.push", parent=None) as span:
        assert span is None


def test_an_sdk_that_fails_breaks_nothing():
    """A refresh does not fail because it could not be counted."""

    class Broken:
        def add(self, *_):
            raise RuntimeError

    made = Instruments(list, wall=lambda: 0)
    made._made = type("Made", (), {"refreshes": Broken()})()

    made.record("loaded", {"secret": "x"})


def test_a_meter_keeps_no_cache_that_nobody_uses(tmp_path):
    """A cache that is closed and let go of is gone, with the values in it; a meter lasts as long as its process."""
    cache = SecretCache("p", source=InMemorySource({"KEY": "1"}), run_dir=str(tmp_path), backstop=None)
    cache.secret("KEY")
    cache.load()
    cache.close()
    kept = weakref.ref(cache)
    del cache
    gc.collect()

    assert kept() is None
