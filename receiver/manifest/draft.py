"""A first manifest from what a service has today: Cloud Run's flags for secrets, or the names in an environment file.

Values are never kept: what stands behind a `=` of an environment file is passed over, over several lines where it is
quoted or a key in PEM.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ..values import looks_like_a_signing_key
from .leaks import looks_like_a_value


_FLAG: Final = re.compile(r"--(?:set|update)-secrets[=\s]+[\"']?([^\s\"']+)")
# NAME=SECRET:VERSION, or a path in place of the name; the secret perhaps with its project.
_MAPPED: Final = re.compile(r"(/?[\w./-]+)=(?:projects/[\w-]+/secrets/)?([A-Za-z0-9_-]{1,255})(?::([\w-]+))?")
_ASSIGNED: Final = re.compile(r"\s*(?:export\s+)?([A-Z][A-Z0-9_]{1,254})=\s*(.*)")
_LATEST: Final = "latest"


@dataclass(frozen=True, slots=True)
class Found:
    """A secret that a file names.

    Args:
        name: its id.
        line: where, from 1.
        pin: the version that is asked for.
        read_as: the variable or path by which it is read today, where that is another.
        existing: whether it is in Secret Manager already.
    """

    name: str
    line: int
    pin: str = _LATEST
    read_as: str = ""
    existing: bool = False


def found(text: str) -> tuple[list[Found], list[int]]:
    """The secrets that a file names, each once, and the numbers of the lines that were not understood.

    Where the file has flags, only those count; else it is read as an environment file.
    """
    lines = text.splitlines()
    by_flag = [(number, match[1]) for number, line in enumerate(lines, 1) for match in _FLAG.finditer(line)]
    several, unclear = _of_flags(by_flag) if by_flag else _of_assignments(lines)
    once: dict[str, Found] = {}
    for one in several:
        if looks_like_a_value(one.name):
            unclear.append(one.line)
        else:
            once.setdefault(one.name, one)
    return list(once.values()), sorted(set(unclear))


def _of_flags(flags: list[tuple[int, str]]) -> tuple[list[Found], list[int]]:
    several, unclear = [], []
    for number, flag in flags:
        for mapping in flag.split(","):
            match = _MAPPED.fullmatch(mapping)
            if match is None:
                unclear.append(number)
                continue
            target, name, pin = match.groups()
            read_as = target if target != name else ""
            several.append(Found(name, number, pin=pin or _LATEST, read_as=read_as, existing=True))
    return several, unclear


def _of_assignments(lines: list[str]) -> tuple[list[Found], list[int]]:
    several, unclear = [], []
    numbered = iter(enumerate(lines, 1))
    for number, line in numbered:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _ASSIGNED.fullmatch(line)
        if match is None:
            unclear.append(number)
        else:
            several.append(Found(match[1], number))
        _pass_over(match[2] if match else line, numbered)
    return several, unclear


def _pass_over(value: str, following: Iterator[tuple[int, str]]) -> None:
    """Leave out the lines over which a value goes on."""
    quote = value[:1] if value[:1] in {'"', "'"} else ""
    if quote and value.count(quote) - value.count(f"\\{quote}") == 1:
        ends = quote
    elif "-----BEGIN" in value and "-----END" not in value:
        ends = "-----END"
    else:
        return
    for _, line in following:
        if ends in line:
            return


def draft(
    several: list[Found], *, project: str, location: str, service: str, service_account: str, push_endpoint: str | None
) -> str:
    """Write a manifest for one service; what a person has to look at is marked CHECK."""
    hears = f"push_endpoint: {push_endpoint}" if push_endpoint else "events: pull"
    head = f"""\
# A first draft. Look at each CHECK, take out what is no secret, and see: keyturn manifest check FILE
project: {project}
location: {location}
topic: secret-events

services:
  {service}:
    service_account: {service_account}
    {hears}

secrets:
"""
    return head + "".join(_entry(one, service) for one in several)


def _entry(one: Found, service: str) -> str:
    lines = [f'  "{one.name}":', f"    used_by: [{service}]"]
    if one.existing:
        lines.append("    existing: true")
    if one.pin != _LATEST:
        lines.append(f"    pin: {one.pin}" if one.pin.isdecimal() else f'    pin: "{one.pin}"')
    if looks_like_a_signing_key(one.name):
        lines += ["    mode: static", '    because: "CHECK: its name looks like a private or signing key"']
    if one.read_as:
        lines.append(f'    note: "read as {one.read_as} until now"')
    return "\n".join(lines) + "\n"
