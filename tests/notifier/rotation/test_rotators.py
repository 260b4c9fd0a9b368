"""The rotators that need no database."""

import http.server
import json
import stat
import sys
import threading
from pathlib import Path

import pytest

from notifier.rotation.rotator import BadSettings, Job, RotatorError, UnknownRotator, find
from receiver import SecretName


SECRET = SecretName("demo", "API_KEY")
VERIFY = {"url": "https://p.example"}


def job(current=b"canary-old", **others):
    return Job(secret=SECRET, key="API_KEY-1-1", timeout=5.0, current=current, read=lambda name: others[name].encode())


@pytest.mark.parametrize(
    ("settings", "length"),
    [
        ({}, 32),
        ({"length": 40, "alphabet": "hex", "prefix": "sk_"}, 43),
        ({"length": 32, "alphabet": "bytes"}, 32),
        ({"length": 22, "alphabet": "base64url"}, 22),
    ],
)
def test_random_values(settings, length):
    """A random value has the form that was asked for, passes its own test, and never comes twice."""
    rotator = find("random", settings)
    made = {rotator.create(job()) for _ in range(50)}
    for value in made:
        rotator.test(job(), value)

    assert 50 == len(made)
    assert {length} == {len(value) for value in made}


def test_random_values_have_every_letter():
    """Each letter of the alphabet is as likely as any other."""
    rotator = find("random", {"alphabet": "hex", "length": 4000})
    counts = [rotator.create(job()).count(letter.encode()) for letter in "0123456789abcdef"]

    assert 150 < min(counts)
    assert max(counts) < 350


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("random", {"length": 4}, "could be guessed"),
        ("random", {"length": "x"}, "not of the type"),
        ("random", {"alphabet": "emoji"}, "alphabet is one of"),
        ("random", {"lenght": 40}, "lenght"),
        ("command", {"command": "rm -rf /"}, "is a list"),
        ("command", {}, "is a list"),
        ("http", {}, "create and verify"),
        ("http", {"create": {"url": "https://p.example/{old}", "value": "/a"}, "verify": VERIFY}, "in a URL"),
        ("http", {"create": {"url": "http://p.example/", "value": "/a"}, "verify": VERIFY}, "https"),
        ("http", {"create": {"url": "https://p.example/"}, "verify": VERIFY}, "JSON pointer"),
        ("http", {"create": {"url": "https://p.example/", "body": 1}, "verify": VERIFY}, "'body'"),
        ("python", {"callable": "no.such:thing"}, "could not be made"),
        ("python", {"callable": "os:sep"}, "could not be made"),
        ("postgres-single", {}, "administrator"),
        ("postgres-alternating", {"administrator": "A", "users": ["one"]}, "two roles"),
    ],
)  # fmt: skip
def test_settings_that_are_refused(name, settings, said):
    """A setting that is not known, or could not work, is refused before anything is rotated."""
    with pytest.raises(BadSettings, match=said):
        find(name, settings)


def test_a_rotator_that_is_not_installed():
    """An unknown name is refused with those that are known."""
    with pytest.raises(UnknownRotator, match="random"):
        find("vault-of-mine", {})


PROGRAM = """#!{python}
import os, sys
step, store = sys.argv[-1], {store!r}
if step == "create":
    os.write(3, b"canary-from-the-command")
    sys.exit(0)
value = b""
while part := os.read(3, 65536):
    value += part
seen = " ".join(sys.argv) + " ".join(os.environ.values())
print("printed", value, file=sys.stderr)
if b"canary" in seen.encode():
    sys.exit(9)
with open(store, "ab") as file:
    file.write(step.encode() + b" " + value + b" " + os.environ["KEYTURN_SECRET"].encode() + b"\\n")
sys.exit(7 if step == "test" and b"bad" in value else 0)
"""


@pytest.fixture
def command(tmp_path):
    """A rotator of a command, and the file in which it notes what it was given."""
    store, program = tmp_path / "store", tmp_path / "program"
    program.write_text(PROGRAM.format(python=sys.executable, store=str(store)))
    program.chmod(stat.S_IRWXU)
    return find("command", {"command": [str(program), "--for", "API_KEY"]}), store


def test_a_command(command, capfd):
    """A command gets its value over a descriptor, and neither arguments, environment nor our output ever hold it."""
    rotator, store = command
    made = rotator.create(job())
    for step in (rotator.apply, rotator.test, rotator.revoke):
        step(job(), made)

    assert b"canary-from-the-command" == made
    assert [b"apply", b"test", b"revoke"] == [line.split()[0] for line in store.read_bytes().splitlines()]
    assert all(made in line and SECRET.path.encode() in line for line in store.read_bytes().splitlines())
    assert "canary" not in "".join(capfd.readouterr())


def test_a_command_takes_large_values(command):
    """A value of 64 KiB reaches the command whole."""
    rotator, store = command
    rotator.apply(job(), b"v" * 65536)

    assert b"v" * 65536 in store.read_bytes()


def test_a_command_that_refuses(command):
    """What a command refuses is said by its status, never by its words."""
    rotator, _ = command
    with pytest.raises(RotatorError, match="status 7") as caught:
        rotator.test(job(), b"canary-bad")

    assert caught.value.refused
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "program", ["import time; time.sleep(60)", "import os; os.close(3); import time; time.sleep(60)"]
)
def test_a_command_that_hangs_is_ended(program):
    """A command that does not end is killed in time, with all that it started."""
    rotator = find("command", {"command": [sys.executable, "-c", program]})
    hurried = Job(secret=SECRET, key="k", timeout=0.5, current=None, read=lambda _: b"")
    before = descriptors()

    with pytest.raises(RotatorError, match=r"did not end|wrote no candidate"):
        rotator.create(hurried)
    with pytest.raises(RotatorError, match="did not end"):
        rotator.apply(hurried, b"x")

    assert before == descriptors()


def test_a_command_that_is_not_there():
    """A command that cannot be run is a failure of the step."""
    rotator = find("command", {"command": ["/no/such/program"]})
    with pytest.raises(RotatorError, match="status"):
        rotator.apply(job(), b"x")


def descriptors():
    return {path.name for path in Path("/proc/self/fd").iterdir()}


class Own:
    """A rotator of the user's own."""

    overlap, one_at_a_time = "none", False

    def __init__(self, *, word="x"):
        self.word = word

    def create(self, _job):
        return self.word.encode()

    apply = test = revoke = lambda *_: None


def test_a_class_of_the_users_own():
    """A class is found by its name, and gets the other settings."""
    rotator = find("python", {"callable": f"{__name__}:Own", "word": "canary"})

    assert (b"canary", "none") == (rotator.create(job()), rotator.overlap)


class Provider(http.server.BaseHTTPRequestHandler):
    """Makes keys, tries them, and ends them."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        self.server.seen.append((self.path, self.headers["Authorization"], self.headers["Idempotency-Key"], body))
        if self.headers["Authorization"] != "Bearer canary-admin":
            return self.answer(401, {})
        key = self.server.by_key.setdefault(self.headers["Idempotency-Key"], f"canary-{len(self.server.keys)}")
        self.server.keys[f"id {key}"] = key
        return self.answer(201, {"data": {"key": key, "id": f"id {key}"}})

    def do_GET(self):
        given = (self.headers["Authorization"] or "").removeprefix("Bearer ")
        if self.path == "/moved":
            return self.answer(302, {}, {"Location": "/verify"})
        return self.answer(200 if given in self.server.keys.values() else 401, {"you sent": given})

    def do_DELETE(self):
        from urllib.parse import unquote

        self.server.keys.pop(unquote(self.path.rpartition("/")[2]), None)
        self.answer(204, None)

    def answer(self, status, body, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if body is not None:
            self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def provider():
    """A provider on loopback."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.keys, server.seen, server.by_key = {}, [], {}
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def http_rotator(server, **changes):
    url = f"http://127.0.0.1:{server.server_port}"
    settings = {
        "administrator": "ADMIN",
        "idempotency_header": "Idempotency-Key",
        "create": {
            "url": f"{url}/keys",
            "headers": {"Authorization": "Bearer {administrator}"},
            "json": {"name": "payments", "tags": ["a"]},
            "value": "/data/key",
            "id": "/data/id",
        },
        "verify": {"method": "GET", "url": f"{url}/verify", "headers": {"Authorization": "Bearer {candidate}"}},
        "revoke": {"method": "DELETE", "url": f"{url}/keys/{{old.id}}", "headers": {}},
        **changes,
    }
    return find("http", settings)


def test_a_provider_by_http(provider):
    """A key is made, used and ended by the requests that the manifest describes."""
    rotator = http_rotator(provider)
    made = rotator.create(job(ADMIN="canary-admin"))
    again = rotator.create(job(ADMIN="canary-admin"))
    rotator.test(job(ADMIN="canary-admin"), made)
    rotator.revoke(job(ADMIN="canary-admin"), made)

    assert made == again == b'{"id": "id canary-0", "key": "canary-0"}'
    assert {} == provider.keys
    assert [("/keys", "Bearer canary-admin", "API_KEY-1-1", {"name": "payments", "tags": ["a"]})] == provider.seen[:1]


def test_a_provider_that_refuses(provider):
    """What a provider refuses is told by its status; neither its words nor what was sent are repeated."""
    rotator = http_rotator(provider)
    with pytest.raises(RotatorError, match="401 to verify") as caught:
        rotator.test(job(ADMIN="canary-admin"), b"canary-wrong")

    assert caught.value.refused
    assert "canary" not in f"{caught.value!r} {caught.value.__context__!r} {caught.value.__cause__!r}"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"verify": {"method": "GET", "url": "http://127.0.0.1:1/"}}, "no answer"),
        ({"verify": {"method": "GET", "url": "http://127.0.0.1:{port}/moved"}}, "302"),
        ({"verify": {"method": "GET", "url": "http://127.0.0.1:{port}/", "headers": {"a": "{old}"}}}, "there is none"),
    ],
)
def test_a_provider_that_fails(provider, changes, said):
    """A provider that is away, or sends elsewhere, is a failure of the step."""
    changes["verify"]["url"] = changes["verify"]["url"].replace("{port}", str(provider.server_port))
    rotator = http_rotator(provider, **changes)
    with pytest.raises(RotatorError, match=said):
        rotator.test(job(ADMIN="canary-admin"), b"canary-0")


def test_header_values_that_no_header_takes(provider):
    """A credential with a line end is refused, and the error does not hold it."""
    rotator = http_rotator(provider)
    with pytest.raises(RotatorError, match="no answer") as caught:
        rotator.test(job(ADMIN="canary-admin"), b"canary\r\nX-Evil: 1")

    assert "canary" not in f"{caught.value!r} {caught.value.__cause__!r}"
