"""Typed entries: what each `parse` takes, what it refuses, and that a refusal repeats nothing of the payload."""

import json
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import pydantic
import pytest

from receiver import URL, ValueRejected
from receiver.values import decode


@dataclass(frozen=True)
class Database:
    user: str
    password: str = field(repr=False)
    port: int = 5432
    share: float = 1.0
    hosts: tuple = ()


class Model(pydantic.BaseModel):
    user: str
    port: int


def shout(text):
    return text.upper()


@pytest.mark.parametrize(
    ("payload", "parse", "value"),
    [
        ("12\n", int, 12),
        ("-3", int, -3),
        ("1.10", Decimal, Decimal("1.10")),
        ("2.5", float, 2.5),
        ("true", bool, True),
        ("YES\n", bool, True),
        ("1", bool, True),
        ("False", bool, False),
        ("no", bool, False),
        ("0", bool, False),
        ("https://user:pw@example.com:8443/a?b=c", URL, "https://user:pw@example.com:8443/a?b=c"),
        ("postgresql://u:p@/db?host=/cloudsql/x", str, "postgresql://u:p@/db?host=/cloudsql/x"),
        ('{"user": "app", "password": "pw"}', Database, Database("app", "pw")),
        (
            '{"user": "app", "password": "pw", "share": 1, "hosts": ["a", "b"]}',
            Database,
            Database("app", "pw", 5432, 1, ("a", "b")),
        ),
        ('{"user": "app", "port": 5}', Model, Model(user="app", port=5)),
        ("abc", shout, "ABC"),
        ("a,b", lambda text: tuple(text.split(",")), ("a", "b")),
    ],
)
def test_a_payload_becomes_the_declared_type(payload, parse, value):
    """Each payload is read as the declared type says."""
    found = decode(payload.encode(), "text", parse)

    assert value == found
    assert type(value) is type(found) or isinstance(found, URL)


@pytest.mark.parametrize(
    ("payload", "parse"),
    [
        ("canary", int),
        ("", int),
        ("canary", Decimal),
        ("NaN", Decimal),
        ("Infinity", Decimal),
        ("nan", float),
        ("canary", bool),
        ("", bool),
        ("2", bool),
        ("canary", URL),
        ("/canary/path", URL),
        ("https://", URL),
        ("https://canary:port/", URL),
        ("https://exa mple/canary", URL),
        ("https://[canary/", URL),
        ("canary", Database),
        ('["canary"]', Database),
        ('{"user": "canary"}', Database),
        ('{"user": "u", "password": "p", "canary": 1}', Database),
        ('{"user": "u", "password": "p", "port": "canary"}', Database),
        ('{"user": "u", "password": "p", "port": true}', Database),
        ('{"user": 7, "password": "p"}', Database),
        ("[" * 99_999, Database),
        ('{"user": "canary"}', Model),
        ('{"user": "u", "port": "canary"}', Model),
    ],
    ids=lambda given: str(given)[:40],
)
@pytest.mark.promise("silent")
def test_what_does_not_parse_is_refused_without_its_text(payload, parse):
    """The errors of parsers carry what they choked on; ours has no cause, context or text of it, nor frames."""
    with pytest.raises(ValueRejected) as rejected:
        decode(payload.encode(), "text", parse)

    told = "".join(traceback.format_exception(rejected.value)) + str(rejected.value)
    assert (None, None) == (rejected.value.__cause__, rejected.value.__context__)
    assert "canary" not in told


@pytest.mark.promise("silent")
def test_the_text_of_a_refusal_is_told_only_where_it_was_written_to_be():
    """`ValueRejected` of the service's own is told, unless the value is in it; any other exception is its type."""

    def chosen(text):
        raise ValueRejected("the key has no prefix pk_")

    def careless(text):
        raise ValueRejected(f"bad key {text}")

    def ordinary(text):
        raise RuntimeError(f"bad key {text}")

    reasons = []
    for parse in (chosen, careless, ordinary):
        with pytest.raises(ValueRejected) as rejected:
            decode(b"canary", "text", parse)
        reasons.append(str(rejected.value).rpartition(": ")[2])

    assert ["the key has no prefix pk_", "ValueRejected", "RuntimeError"] == reasons


def test_parse_comes_after_the_type():
    """With "bytes" it is called with the payload untouched, with "json" with what was parsed and frozen."""

    assert 5 == decode(b"ab\xff\n\n", "bytes", len)
    assert "app" == decode(b'{"user": "app"}', "json", lambda fields: fields["user"])
    assert isinstance(decode(json.dumps({"a": {"b": 1}}).encode(), "json", lambda fields: fields["a"]), Mapping)


@pytest.mark.parametrize("text", ["/relative", "no-scheme.example", "https://", "https:///path", "https://h\n/x"])
def test_a_url_is_absolute(text):
    """A URL says scheme and host, and is in no error."""
    with pytest.raises(ValueError, match=r"^not an absolute URL$"):
        URL(text)
