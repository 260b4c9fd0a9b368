"""`receiver` and `notifier` are common names: whatever stands in their way is named in the error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


COMMAND = Path(sys.executable).with_name("keyturn")


def run(*command, path):
    environment = {**os.environ, "PYTHONPATH": str(path)}
    return subprocess.run(command, env=environment, cwd=path, capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.parametrize("name", ["receiver", "notifier"])
@pytest.mark.parametrize("kind", ["module", "package"])
def test_the_command_names_what_shadows_a_package(tmp_path, name, kind):
    """A module or package of the user's that is found first is named, with what to do about it."""
    shadow = tmp_path / f"{name}.py" if kind == "module" else tmp_path / name / "__init__.py"
    shadow.parent.mkdir(exist_ok=True)
    shadow.write_text("")

    ran = run(COMMAND, "--version", path=tmp_path)

    assert (2, "") == (ran.returncode, ran.stdout)
    assert f"`{name}` is not keyturn's: {shadow} stands in its way" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_service_is_told_which_module_it_got(tmp_path):
    """A service whose own `receiver.py` shadows ours gets Python's error, which names that file."""
    (tmp_path / "receiver.py").write_text("")

    ran = run(sys.executable, "-c", "from receiver import SecretCache", path=tmp_path)

    assert 1 == ran.returncode
    assert str(tmp_path / "receiver.py") in ran.stderr


def test_modules_of_the_users_do_not_get_between_ours(tmp_path):
    """Modules called as ours (`events`, `cache`, ...) change nothing: imports inside a package are relative."""
    for name in ("events", "cache", "errors", "names", "auth", "source", "secret", "step"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the wrong one')")

    ran = run(sys.executable, "-c", "import receiver, receiver.handler, receiver.flask; print('fine')", path=tmp_path)

    assert ("fine\n", "") == (ran.stdout, ran.stderr)
