"""From payloads to values, and the names that must not be hot."""

import pytest

from receiver.errors import ValueRejected
from receiver.values import decode, looks_like_a_signing_key


@pytest.mark.parametrize(
    ("data", "type_", "value"),
    [
        (b"key", "text", "key"),
        (b"key\n", "text", "key"),
        (b"key\n\n", "text", "key\n"),
        (b"key\r\n", "text", "key\r"),
        (b" key ", "text", " key "),
        (b"", "text", ""),
        ("schlüssel".encode(), "text", "schlüssel"),
        (b"key\n\xff", "bytes", b"key\n\xff"),
        (b"3", "json", 3),
        (b"null", "json", None),
    ],
)
def test_payloads_become_values(data, type_, value):
    """Text loses the one newline that `echo` adds and nothing else; bytes are untouched; JSON is parsed."""

    assert value == decode(data, type_)


def test_json_is_frozen():
    """All readers share a value, so nobody can change it."""
    value = decode(b'{"a": [1, {"b": 2}]}', "json")

    assert {"a": (1, {"b": 2})} == dict(value)
    for mapping in (value, value["a"][1]):
        with pytest.raises(TypeError):
            mapping["c"] = 3


@pytest.mark.promise("silent")
@pytest.mark.parametrize(("data", "type_"), [(b"canary\xff", "text"), (b'{"canary"', "json"), (b"[" * 99_999, "json")])
def test_a_rejected_payload_is_in_no_exception(data, type_):
    """The exceptions of codecs and parsers carry what they choked on; ours has no cause and no context."""
    with pytest.raises(ValueRejected) as rejected:
        decode(data, type_)

    assert (None, None) == (rejected.value.__cause__, rejected.value.__context__)
    assert "canary" not in str(rejected.value)


@pytest.mark.promise("static stays static")
@pytest.mark.parametrize(
    "name",
    [
        "HOST_WALLET_PRIVATE_KEY",
        "SUCCESS_URL_SIGNING_KEY",
        "TPS_HOSTPAY_SIGNING_KEY",
        "jwt-signing-secret",
        "rsaPrivateKey",
        "PRIVATEKEY",
        "service_private_pem",
        "WALLET_MNEMONIC",
        "seed-phrase",
    ],
)
def test_names_of_signing_keys_are_seen(name):
    """Names that say private or signing key, in any spelling of words."""

    assert looks_like_a_signing_key(name)


@pytest.mark.promise("static stays static")
@pytest.mark.parametrize(
    "name",
    ["CHANGENOW_API_KEY", "DATABASE_PASSWORD", "SIGNUP_URL", "PRIVATE_URL", "DESIGN_KEY", "ASSIGNED_QUEUE", "SEED_URL"],
)
def test_other_names_are_not(name):
    """Names that only resemble them."""

    assert not looks_like_a_signing_key(name)
