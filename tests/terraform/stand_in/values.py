"""Checks and completes resource values by their schema."""

import json
import re

from facts import PATTERNS

Unknown = object()
EMPTY = {"number": 0, "bool": False, "list": [], "set": [], "map": {}}
FROM_TEXT = {"string": str, "bool": lambda text: text == "true", "number": float}


def attributes(block):
    return block.get("attributes", {}).items()


def children(block, value):
    """Yield the name, schema and value of every nested block in `value`."""
    for name, nested in block.get("block_types", {}).items():
        items = value[name]
        for item in items if isinstance(items, list) else [items]:
            if isinstance(item, dict):
                yield name, nested["block"], item


def empty(block):
    """A value of which nothing is known yet."""
    nested = block.get("block_types", {}).items()
    return {name: None for name, _ in attributes(block)} | {
        name: None if entry["nesting_mode"] == "single" else [] for name, entry in nested
    }


def settable(entry):
    return bool(entry.keys() & {"optional", "required"})


def problems(block, value, path=()):
    """Yield (path, message) of each value that the real provider refuses."""
    for name, entry in attributes(block):
        given = value[name]
        if given is None or given is Unknown:
            continue
        if not settable(entry):
            yield (*path, name), "Value for unconfigurable attribute"
        allowed = re.search(r"Possible values: (\[.*?\])", entry.get("description", ""), re.DOTALL)
        if allowed and isinstance(given, str) and given and given not in json.loads(allowed[1]):
            yield (*path, name), f"expected one of {allowed[1]}, got {given}"
        if name in PATTERNS and not re.fullmatch(PATTERNS[name], given):
            yield (*path, name), f"expected a match of {PATTERNS[name]}, got {given}"
    for name, nested, item in children(block, value):
        yield from problems(nested, item, (*path, name))


def broken(rules, value):
    """Yield a message for each of `rules` that `value` is known to break."""
    for rule, paths in rules:
        found = [lookup(value, path.split(".")) for path in paths]
        count = sum(map(bool, found))
        if Unknown in found:
            continue
        if rule == "requires" and found[0] and not found[1]:
            yield f"{paths[0]} requires {paths[1]}"
        if (rule == "at most one" and count > 1) or (rule == "exactly one" and count != 1):
            yield f"{rule} of {', '.join(paths)} must be specified"


def lookup(value, path):
    """Return what is at `path`, or Unknown if it hangs on something unknown."""
    for step in path:
        value = value[0] if isinstance(value, list) and value else value
        value = value if value is Unknown else value.get(step) if isinstance(value, dict) else None
    return value


def complete(block, value):
    """Before apply: set the documented defaults and make unset computed attributes unknown, in place."""
    for name, entry in attributes(block):
        default = re.search(r"Default value: \"?(\w+)", entry.get("description", ""))
        if value[name] is None and entry.get("computed"):
            value[name] = Unknown
        elif value[name] is None and default and isinstance(entry["type"], str):
            value[name] = FROM_TEXT[entry["type"]](default[1])
        elif value[name] == {} and not entry.get("computed"):
            value[name] = None
    for _, nested, item in children(block, value):
        complete(nested, item)


def resolve(block, value):
    """After apply: replace what is still unknown by something of its type, in place."""
    for name, entry in attributes(block):
        if value[name] is Unknown:
            kind = entry["type"] if isinstance(entry["type"], str) else entry["type"][0]
            value[name] = EMPTY.get(kind, "" if settable(entry) else f"computed-{name}")
    for _, nested, item in children(block, value):
        resolve(nested, item)


def fill(templates, value):
    """Set the attributes in `templates` that are unset or unknown and whose ingredients are known."""
    for name, template in templates.items():
        ingredients = [value.get(field) for field in re.findall(r"{(\w+)}", str(template))]
        if value.get(name, "") in (None, Unknown) and Unknown not in ingredients and None not in ingredients:
            value[name] = template.format(**value) if isinstance(template, str) else template
