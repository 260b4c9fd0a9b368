"""Install the stand-in providers for `terraform init`, by a filesystem mirror and a configuration that knows no other.

    python install.py TARGET WHEELS VERSION MODULE...

Under TARGET come the schemas of every google type that the *.tf files of the given modules use, derived from wheels
that are kept in WHEELS, and a `terraform.rc`.
"""

import json
import pathlib
import platform
import re
import subprocess
import sys

import schema


# Generated from the real providers of these versions; see `schema.py`.
WHEELS = {
    "6.50": {
        "google": "cdktf-cdktf-provider-google==16.12.1",
        "google-beta": "cdktf-cdktf-provider-google-beta==16.12.1",
    },
    "7.46": {"google": "cdktn-provider-google==20.3.1", "google-beta": "cdktn-provider-google-beta==20.3.1"},
    "8.7": {"google": "cdktn-provider-google==21.1.0", "google-beta": "cdktn-provider-google-beta==21.1.0"},
}
# Of the second provider one type is used; deriving the others would take as long again.
BETA_ONLY = {"google_project_service_identity"}
MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
TERRAFORM_RC = """\
disable_checkpoint = true

provider_installation {{
  filesystem_mirror {{
    path = "{}"
  }}
}}
"""
PROGRAM = """\
#!/bin/sh
exec "{}" "{}" "$(dirname "$0")/schema.json"
"""
PROVIDER = pathlib.Path(__file__).resolve().with_name("provider.py")


def install(target, wheels, version, modules):
    """Lay out the mirror of one version."""
    target = pathlib.Path(target).resolve()
    text = "\n".join(file.read_text() for module in modules for file in pathlib.Path(module).rglob("*.tf"))
    found = re.findall(r'^(resource|data) "(google_\w+)"', text, re.MULTILINE)
    wanted = {f"data.{name}" if kind == "data" else name for kind, name in found}
    system = f"{platform.system().lower()}_{MACHINES[platform.machine()]}"
    for provider, requirement in WHEELS[version].items():
        types = wanted & BETA_ONLY if provider == "google-beta" else wanted - BETA_ONLY
        exact, derived = schema.derive(download(requirement, pathlib.Path(wheels)), types)
        folder = target / "mirror/registry.terraform.io/hashicorp" / provider / exact / system
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "schema.json").write_text(json.dumps(derived))
        program = folder / f"terraform-provider-{provider}_v{exact}"
        program.write_text(PROGRAM.format(sys.executable, PROVIDER))
        program.chmod(0o755)
    (target / "terraform.rc").write_text(TERRAFORM_RC.format(target / "mirror"))


def download(requirement, folder):
    """Return the wheel, downloaded where it is not there yet."""
    name, _, version = requirement.partition("==")
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    if not list(folder.glob(pattern)):
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
        subprocess.run([*pip, requirement], check=True)
    return next(folder.glob(pattern))


if __name__ == "__main__":
    install(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
