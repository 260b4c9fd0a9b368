"""What the documents show is what happens: every code block runs, every command and setting is compared."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from notifier.local.cloud import SENDER, LocalCloud


ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_first_screen_shows_the_two_commands():
    """`make demo` and `make test` are what a stranger types."""
    commands = [line for block in blocks(README, "sh") for line in block.splitlines()]

    assert {"make demo", "make test"} <= set(commands)


def test_the_service_of_the_readme_serves_what_secret_manager_holds(tmp_path):
    """The README's service, word for word, starts against the local cloud and sends the key that was added last."""
    service = next(block for block in blocks(README, "python") if "def create_app" in block)
    (tmp_path / "readme_service.py").write_text(service)
    driver = """
import http.server, os, threading
seen = []
class Provider(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        seen.append(self.headers["x-api-key"]); self.send_response(200); self.end_headers(); self.wfile.write(b"1.5")
    def log_message(self, *args): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["RATE_URL"] = f"http://127.0.0.1:{server.server_port}/"
from readme_service import create_app
answer = create_app().test_client().get("/rate")
print(answer.status_code, answer.text, seen == ["demo-key"])
"""
    with LocalCloud(project="pgp-live") as cloud:
        cloud.create_secret("CHANGENOW_API_KEY", b"demo-key\n")
        cloud.create_secret("HOST_WALLET_PRIVATE_KEY", b"wallet")
        environment = {
            **os.environ,
            **cloud.environment(),
            "KEYTURN_RUN_DIR": str(tmp_path / "run"),
            "PUSH_AUDIENCE": "https://service.example/secrets/events",
            "PUSH_SENDER": SENDER,
            "PYTHONPATH": f"{tmp_path}:{ROOT}",
        }
        ran = subprocess.run(
            [sys.executable, "-c", driver], env=environment, capture_output=True, text=True, timeout=25, check=False
        )

    assert ("200 1.5 True", "") == (ran.stdout.strip(), ran.stderr.strip())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_blocks_are_python(document):
    """Every Python block parses."""
    for block in blocks(document.read_text(), "python"):
        ast.parse(block)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_exist(document):
    """Every `make` command in a document is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = [
        line.partition("#")[0].split()
        for block in blocks(document.read_text(), "sh")
        for line in block.splitlines()
        if line.startswith("make")
    ]
    shown = {word for command in commands for word in command[1:] if "=" not in word}

    assert shown <= targets
