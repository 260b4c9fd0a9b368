"""The pytest plugin, in runs of pytest of its own."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from notifier.local.cloud_for_tests import CloudForTests


# Runs of pytest within the run: slow where the machine is busy.
pytestmark = pytest.mark.timeout(90)

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)

FACTORY = """
from flask import Flask
from receiver import OIDC, SecretCache, refresh_blueprint
import os


def create_app(audience=None):
    cache = SecretCache(project="pgp-live")
    key = cache.secret("API_KEY")
    app = Flask(__name__)
    auth = OIDC(audience=audience or os.environ["PUSH_AUDIENCE"], sender=os.environ["PUSH_SENDER"])
    app.register_blueprint(refresh_blueprint(cache, auth=auth))
    cache.load()
    app.get("/key")(lambda: f"{key.value} {key.version}")
    return app
"""


ALONE = """
import pytest
from app import create_app


@pytest.mark.parametrize("number", range(4))
def test_alone(keyturn_cloud, number):
    assert 1 == keyturn_cloud.add_version("API_KEY", b"one")
    app = create_app()
    keyturn_cloud.serve(app)
    keyturn_cloud.add_version("API_KEY", f"two {number}".encode())
    assert f"two {number} 2" == app.test_client().get("/key").text
    keyturn_cloud.advance(40 * 86400)
    keyturn_cloud.secret_manager.disable_version(keyturn_cloud.secret("API_KEY"), 2)
    keyturn_cloud.delivered()
    assert "one 1" == app.test_client().get("/key").text
"""

DEAF = """
from app import create_app


def test_deaf(keyturn_cloud):
    keyturn_cloud.add_version("API_KEY", b"one")
    keyturn_cloud.serve(create_app(audience="another"))
    keyturn_cloud.add_version("API_KEY", b"two", timeout=200)
"""


def run(place, *args, **files):
    """Run pytest in a directory with these files, as a user's project has it."""
    for name, text in files.items():
        (place / f"{name}.py").write_text(text)
    settings = ("keyturn_project = pgp-live", "filterwarnings = error", "pythonpath = .")
    (place / "pytest.ini").write_text("\n".join(["[pytest]", *settings]))
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", *args],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What a run of two workers says of the README's test of the README's service, and of two more modules."""
    service = next(block for block in BLOCKS if "def create_app" in block)
    test, troubled = (next(block for block in BLOCKS if name in block) for name in ("follows_its_key", "def troubled"))
    troubled += "\n\ndef test_trouble(troubled):\n    assert troubled.secret_manager_client()\n"
    return run(
        tmp_path_factory.mktemp("project"),
        *("-n", "2"),
        service=service,
        app=FACTORY,
        test_service=test,
        test_trouble=troubled,
        test_alone=ALONE,
        test_deaf=DEAF,
    ).stdout


def test_the_readme(told):
    """The README's tests of the README's service pass, word for word."""

    assert "PASSED test_service.py::test_the_service_follows_its_key" in told, told
    assert "PASSED test_trouble.py::test_trouble" in told


def test_each_test_has_its_own_and_workers_do_not_meet(told):
    """Under pytest-xdist each test begins empty, by itself, with its service pushed to and its clock to be moved."""

    assert 4 == told.count("PASSED test_alone.py::test_alone"), told


def test_a_service_that_does_not_hear(told):
    """Where the service refuses its pushes, the call says what it answered and where to look, and does not wait."""

    assert re.search(r"NotDelivered: .*it answered \[403(, 403)*\] \(401 and 403: compare", told), told


def test_the_plugin_is_harmless_where_it_is_not_used(tmp_path):
    """A run that asks for no fixture imports nothing of keyturn, also where the project has a `notifier` of its own."""
    test = """
import sys
import notifier


def test_theirs():
    assert notifier.MINE
    assert not [name for name in sys.modules if name.startswith(("receiver", "google", "grpc", "notifier."))]
"""
    ran = run(tmp_path, notifier="MINE = True\n", test_theirs=test)

    assert "1 passed" in ran.stdout, ran.stdout


def test_what_is_missing_is_named(tmp_path):
    """Without the extra, a test that asks for the fixture is told what to install."""
    conftest = """
import sys

sys.modules["google.pubsub_v1"] = None
"""
    ran = run(tmp_path, conftest=conftest, test_app="def test_it(keyturn_cloud):\n    pass\n")

    assert "pip install 'keyturn[testing]'" in ran.stdout + ran.stderr, ran.stdout


def test_quick_start():
    """A cloud of the plugin is there within 150 ms, once imported."""
    took = []
    for _ in range(5):
        began = time.monotonic()
        with CloudForTests():
            took.append(time.monotonic() - began)

    assert min(took) < 0.150
