"""The arrows point inwards: a pure core, thin adapters, and imports that stay where they belong."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[1]

#: Modules that decide, and what of the standard library they may use: nothing that has a clock, a lock or I/O.
PURE = {
    "names",
    "tracecontext",
    "reading",
    "events",
    "audit",
    "knowledge",
    "entry",
    "learning",
    "plan",
    "step",
    "errors",
    "parsing",
    "values",
    "ticks",
    "watch",
}
PURE_STDLIB = {
    "base64", "collections", "contextlib", "dataclasses", "datetime", "decimal", "enum", "json", "math", "re",
    "types", "typing", "urllib",
}  # fmt: skip

#: Likewise of the notifier: from log entries to a report.
TRACE = ["forms", "times", "acts", "lives", "registers", "signs", "answer", "causes", "verdict", "judging", "report"]
#: The modules of `receiver.bind` that are for one library each, which is the module's extra: they import it at once.
BINDINGS = {"asyncpg", "httpx", "psycopg", "redis", "requests", "sqlalchemy"}

#: Who may import what is not ours, in `receiver`.
ADAPTERS = {
    "cloudevents": {"cloud_events"},
    "flask": {"flask"},
    "google": {"secret_manager", "subscriptions", "stream", "failures"},
    "google_crc32c": {"secret_manager"},
    "grpc": {"greenlets", "secret_manager", "subscriptions"},
    "jwt": {"auth", "keys"},
    "opentelemetry": {"otel"},
    "yaml": {"document"},
    **{name: {name} for name in BINDINGS},
    "psycopg_pool": {"psycopg"},
}

#: Each module of the core, outermost last: a module imports only from those before it.
ORDER = [
    "errors",
    "names",
    "tracecontext",
    "knowledge",
    "reading",
    "events",
    "audit",
    "entry",
    "learning",
    "plan",
    "step",
]


def modules(package):
    return sorted((ROOT / package).rglob("*.py"))


def imports(path):
    """Every import of a module as (level, module, names, whether it stands at the top)."""
    tree = ast.parse(path.read_text())
    late = {node for function in ast.walk(tree) if isinstance(function, ast.FunctionDef) for node in ast.walk(function)}
    typing_only = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        top = node not in late and node not in typing_only
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield 0, alias.name, [], top
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or "", [alias.name for alias in node.names], top


@pytest.mark.parametrize("path", modules("receiver"), ids=lambda path: path.stem)
def test_receiver_never_imports_notifier(path):
    """The receiver lives in production images; the notifier does not."""

    assert not [module for _, module, _, _ in imports(path) if module.split(".")[0] == "notifier"]


@pytest.mark.parametrize("path", modules("receiver") + modules("notifier"), ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_imports_inside_a_package_are_relative(path):
    """A module of the user's that is called as one of our packages cannot get between ours."""
    own = path.relative_to(ROOT).parts[0]
    if path.name == "service.py":
        pytest.skip("written as a user writes it, from outside")

    assert not [module for level, module, _, _ in imports(path) if level == 0 and module.split(".")[0] == own]


@pytest.mark.parametrize("name", sorted(PURE))
def test_the_core_is_pure(name):
    """What decides imports no clock, lock, thread, socket or file."""
    found = list(imports(ROOT / "receiver" / f"{name}.py"))

    assert {module.split(".")[0] for level, module, _, _ in found if level == 0} <= PURE_STDLIB
    assert {module for level, module, _, _ in found if level} <= PURE


@pytest.mark.parametrize("name", TRACE)
def test_a_trace_is_pure(name):
    """From log entries to a verdict there is no clock, lock or I/O."""
    found = list(imports(ROOT / "notifier" / "trace" / f"{name}.py"))

    assert {module.split(".")[0] for level, module, _, _ in found if level == 0} <= PURE_STDLIB | {"array", "functools"}
    assert {module for level, module, _, _ in found if level} <= set(TRACE)


def test_the_core_is_layered():
    """Within the core each module knows only those below it."""
    for place, name in enumerate(ORDER):
        known = {module for level, module, _, _ in imports(ROOT / "receiver" / f"{name}.py") if level}
        assert known <= set(ORDER[:place]), name


@pytest.mark.parametrize("path", modules("receiver"), ids=lambda path: path.stem)
def test_foreign_packages_stay_in_their_adapters(path):
    """Flask, Google's clients and the token library are each imported by the modules that adapt them, and late."""
    for level, module, _, top in imports(path):
        foreign = module.split(".")[0]
        if level == 0 and foreign in ADAPTERS:
            assert path.stem in ADAPTERS[foreign], module
            assert path.stem in {"flask", *BINDINGS} or not top, module


def test_importing_receiver_is_cheap():
    """`import receiver` brings in neither grpc nor google.cloud nor flask nor the token or event libraries."""
    heavy = "{'grpc', 'google', 'flask', 'jwt', 'cryptography', 'werkzeug', 'cloudevents', 'dateutil', 'asyncio'}"
    code = f"import sys, receiver; print(sorted({heavy} & set(sys.modules)))"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)

    assert "[]" == found.stdout.strip()


def test_every_public_name_can_be_had():
    """The door's list and its table are the same, and each name leads somewhere."""
    import receiver

    assert set(receiver.__all__) == set(receiver._HOMES)
    for name in receiver.__all__:
        assert name in dir(receiver)
        assert getattr(receiver, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing"):
        _ = receiver.nothing


def test_notifier_uses_public_names_of_receiver_only():
    """The notifier sees the receiver as every user does."""
    for path in modules("notifier"):
        for level, module, _, _ in imports(path):
            private = module.startswith("receiver.") and not module.startswith("receiver.bind.")
            assert not (level == 0 and private), path
