"""Real Terraform: the providers of a version are installed once, and run once for a session."""

import pytest

from .harness import VERSIONS, Providers, Terraform, copied


@pytest.fixture(scope="session")
def providers():
    """Both providers of a version, running."""
    running = {}

    def of(version):
        if version not in running:
            running[version] = Providers(version)
        return running[version]

    yield of
    for one in running.values():
        one.stop()


@pytest.fixture(scope="session")
def attached(providers):
    """The environment in which commands use running providers of a version."""

    def of(version=VERSIONS[-1]):
        one = providers(version)
        # Without a configuration of its own Terraform would ask its registry.
        return {"TF_CLI_CONFIG_FILE": str(one.mirror / "terraform.rc"), "TF_REATTACH_PROVIDERS": one.attached}

    return of


@pytest.fixture(scope="session")
def module(tmp_path_factory):
    """A copy of the module and its examples for this session."""
    return copied(tmp_path_factory.mktemp("module"))


@pytest.fixture
def root(attached, tmp_path):
    """Make a root module of a text, initialised."""

    def made(text, *, version=VERSIONS[-1], **environment):
        (tmp_path / "main.tf").write_text(text)
        terraform = Terraform(tmp_path, **attached(version), **environment)
        terraform("init")
        return terraform

    return made
