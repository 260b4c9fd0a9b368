"""The filter language, by Google's own examples."""

import pytest

from notifier.local.filters import NotAFilter, parse


NET = {"iana.org/language_tag": "en", "name": "net"}
COM = {"iana.org/language_tag": "en", "name": "com"}


@pytest.mark.parametrize(
    ("text", "attributes", "matches"),
    [
        ("", {}, True),
        ("attributes:name", COM, True),
        ("attributes:name", {}, False),
        ("NOT attributes:name", {}, True),
        ("-attributes:name", COM, False),
        ('attributes.name = "com"', COM, True),
        ('attributes.name="com"', COM, True),
        ('attributes.name = "com"', {"name": "COM"}, False),
        ('attributes.name != "com"', NET, True),
        ('attributes.name != "com"', COM, False),
        ('attributes.name != "com"', {}, True),
        ('attributes.my-key = "x"', {"my-key": "x"}, True),
        ('attributes.-k = "x"', {"-k": "x"}, True),
        ('hasPrefix(attributes.name, "co")', COM, True),
        ('hasPrefix(attributes.name, "co")', NET, False),
        ('hasPrefix(attributes.name, "")', {}, False),
        ('NOT hasPrefix(attributes.name, "co")', {}, True),
        ('attributes."iana.org/language_tag" = "en"', COM, True),
        ('attributes:"iana.org/language_tag" AND NOT attributes.name = "com"', COM, False),
        ('attributes:"iana.org/language_tag" AND NOT attributes.name = "com"', NET, True),
        ('attributes.name = "com" AND -attributes:"iana.org/language_tag"', {"name": "com"}, True),
        ('attributes:x AND (attributes.name = "net" OR attributes.name = "org")', {"x": "", "name": "org"}, True),
        ('attributes:x AND (attributes.name = "net" OR attributes.name = "org")', {"name": "org"}, False),
        ("attributes:a OR attributes:b OR attributes:c", {"c": ""}, True),
        ("NOT (attributes:a OR attributes:b)", {"b": ""}, False),
        (r'attributes:"\u307F\u3093\u306A"', {"みんな": "x"}, True),
        (r'attributes.a = "\x41\101\"\\\n"', {"a": 'AA"\\\n'}, True),
    ],
)
def test_what_matches(text, attributes, matches):
    """Each form of the language matches what Google's page says it does."""
    assert matches == parse(text)(attributes)


@pytest.mark.parametrize(
    "text",
    [
        '"com" = attributes.name',
        "attributes.name = attributes.website",
        r"attributes:\u307F",
        "attributes:みんな",
        'attributes:a AND attributes.name = "net" OR attributes.name = "org"',
        'attributes.name = "com" AND ("net" OR "org")',
        "attributes:a and attributes:b",
        'hasSuffix(attributes.name, "m")',
        'attributes.name > "a"',
        "attributes.name",
        "attributes:",
        'attributes.name = "com',
        "(attributes:a",
        "attributes:a)",
        "garbage((",
        r'attributes:"\UFFFFFFFF"',
        "(" * 100,
        "-" * 200,
        f'attributes.a = "{"x" * 250}"',
    ],
)
def test_what_is_no_filter(text):
    """What Google's page calls invalid is refused, and so is what is too long or too deep."""
    with pytest.raises(NotAFilter):
        parse(text)
