"""Derive a Terraform provider schema from a prebuilt cdktn/cdktf wheel.

Such a wheel holds TypeScript generated from the real provider's schema (in the source
maps of its JavaScript).  A comment with the flags precedes each attribute there:

    // topic - computed: false, optional: false, required: true
    private _topic?: string;
    public get topic() {
      return this.getStringAttribute('topic');

The result has the layout of `terraform providers schema -json`, so that command's output
for the real provider can take its place.
"""

import base64
import io
import json
import re
import tarfile
import zipfile

TYPES = {
    "this.getStringAttribute": "string",
    "this.getBooleanAttribute": "bool",
    "this.getNumberAttribute": "number",
    "this.getListAttribute": ["list", "string"],
    "cdktf.Fn.tolist": ["set", "string"],
    "this.getNumberListAttribute": ["list", "number"],
    "this.getStringMapAttribute": ["map", "string"],
    "new cdktf.StringMap": ["map", "string"],
    "new cdktf.StringMapList": ["list", ["map", "string"]],
}
PROVIDER_TYPES = {
    "string": "string",
    "boolean": "bool",
    "stringMap": ["map", "string"],
    "stringList": ["list", "string"],
}
FLAGS = ("computed", "optional", "required")
CLASS = re.compile(r"^export class (\w+) extends cdktf\.(\w+) {\n(.*?)^}", re.DOTALL | re.MULTILINE)
ATTRIBUTE = re.compile(
    r"// (\w+) - computed: (\w+), optional: (\w+), required: (\w+)\n"
    r".*?(?:= (new [\w.]+)\(this, \"\w+\"(?:, (true|false))?\)|return ([\w.]+)\()",
    re.DOTALL,
)
OPTION = re.compile(r"^ {6}(\w+): {\n.*\n +isBlock: false,\n.*\n +storageClassType: \"(\w+)\"", re.MULTILINE)
INTERFACE = re.compile(r"^export interface (\w+) (?:extends \S+ )?{\n(.*?)^}", re.DOTALL | re.MULTILINE)
DOC = re.compile(r"/\*\*\n(.*?)Docs at Terraform Registry: \S+ https?://[^#\s]+#(\w+) ", re.DOTALL)


def derive(wheel, wanted):
    """Return (provider version, schema) of the `wanted` types.

    `wanted` holds names like "google_pubsub_topic" and "data.google_project"; those that the
    provider lacks are left out of the schema, so that Terraform itself reports them.
    """
    with zipfile.ZipFile(wheel) as archive:
        paths = archive.namelist()
        metadata = archive.read(next(p for p in paths if p.endswith("/METADATA"))).decode()
        package = archive.read(next(p for p in paths if p.endswith(".jsii.tgz")))
    version = re.search(r"provider version ([\d.]+)", metadata)[1]
    folders = {prefix + _folder(name): name for name in wanted for prefix in ("", "google-")}
    sources = {}
    with tarfile.open(fileobj=io.BytesIO(package), mode="r|gz") as tar:
        for member in tar:
            folder = member.name.removeprefix("package/lib/").partition("/")[0]
            if folder in (*folders, "provider") and member.name.endswith(".js"):
                source = _typescript(tar.extractfile(member).read().decode())
                sources[folder] = sources.get(folder, "") + source
    schema = {
        "provider": _provider(sources.pop("provider")),
        "resource_schemas": {},
        "data_source_schemas": {},
    }
    for folder, source in sources.items():
        kind, _, name = folders[folder].rpartition(".")
        schema[f"{(kind and 'data_source') or 'resource'}_schemas"][name] = _resource(source)
    return version, schema


def _folder(name):
    return name.replace("data.google_", "data_google_").removeprefix("google_").replace("_", "-")


def _typescript(javascript):
    source_map = json.loads(base64.b64decode(re.search(r"base64,(\S+)", javascript)[1]))
    return source_map["sourcesContent"][0].replace("cdktn.", "cdktf.")


def _provider(source):
    options = OPTION.findall(source.split("synthesizeHclAttributes()")[1])
    return {"block": {"attributes": {name: {"type": PROVIDER_TYPES[kind], "optional": True} for name, kind in options}}}


def _resource(source):
    classes = {name: (base, body) for name, base, body in CLASS.findall(source)}
    docs = {name: {anchor: _text(doc) for doc, anchor in DOC.findall(body)} for name, body in INTERFACE.findall(source)}
    root = next(name for name, (base, _) in classes.items() if base in ("TerraformResource", "TerraformDataSource"))

    def block(class_name, interface):
        attributes, blocks = {}, {}
        for name, *said, nested, is_set, getter in ATTRIBUTE.findall(classes[class_name][1]):
            flags = {flag: True for flag, on in zip(FLAGS, said, strict=True) if on == "true"}
            if (kind := nested or getter) in TYPES:
                entry = {"type": TYPES[kind], **flags}
            else:
                child_name = re.sub(r"^new |(List|OutputReference)$", "", kind)
                child = block(child_name + "OutputReference", child_name)
                mode = "single" if name == "timeouts" else "set" if is_set == "true" else "list"
                if flags != {"computed": True}:
                    blocks[name] = {"nesting_mode": mode, "block": child}
                    if mode != "single":
                        blocks[name]["min_items"] = int("required" in flags)
                        blocks[name]["max_items"] = int(kind.endswith("OutputReference"))
                    continue
                object_type = {key: value["type"] for key, value in child["attributes"].items()}
                entry = {"type": [mode, ["object", object_type]], **flags}
            attributes[name] = entry | {"description": docs.get(interface, {}).get(name, "")}
        return {"attributes": attributes, "block_types": blocks}

    return {"version": 0, "block": block(root, root + "Config")}


def _text(comment):
    return re.sub(r"^ *\*? ?", "", comment, flags=re.MULTILINE).strip()
