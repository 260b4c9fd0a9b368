"""Whatever a log holds, what is shown of it is text: no markup on the page, no control on a terminal."""

import re
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.trace import Counted, Question, report
from notifier.trace.page import page
from notifier.trace.words import lines
from tests.entries import NEW, OLD, PROJECT, SECOND, SECRET, T0, audit, moved, said


TAGS = {
    "html", "head", "meta", "title", "style", "body", "p", "span", "h1", "h2", "ul", "li", "dl", "dt", "dd", "div", "b",
    "i", "details", "summary",
}  # fmt: skip
BAR = re.compile(r"left:[0-9.]+%;width:[0-9.]+%")
OUTSIDE_BODY = {"lang", "charset", "name", "content", "http-equiv"}

marks = st.sampled_from(
    ['"', "'", "<", ">", "&", "<script>", "</span>", "]]>", "<!--", "\x00", "\x1b[2J", "\r\n", "\u202e", "\u2028", "支"]
)
texts = st.lists(marks | st.text(max_size=3), max_size=20).map("".join)
shown = st.fixed_dictionaries(dict.fromkeys(("instance", "service", "path", "message", "by", "agent"), texts))


class Markup(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.styles, self.attributes, self.comments = set(), set(), set(), []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.styles |= {value for name, value in attrs if name == "style"}

    def handle_comment(self, data):
        self.comments.append(data)


@settings(max_examples=settings.default.max_examples // 4)
@given(st.lists(shown, min_size=1, max_size=4))
def test_what_is_shown_is_text(found):
    """Names, services, paths, reasons and accounts of any characters, in the words, briefly, and on the page."""
    entries = []
    for number, one in enumerate(found):
        caller = {"callerIp": "203.0.113.7", "callerSuppliedUserAgent": one["agent"]}
        who = {"instance": one["instance"], "service": one["service"], "worker": number}
        entries += [
            audit("AddSecretVersion", NEW, by=one["by"], requestMetadata=caller),
            audit("AccessSecretVersion", OLD, T0 + SECOND, by=one["by"]),
            said("loaded", T0 - SECOND, version=OLD, **who),
            said("held_back", T0 + SECOND, message=one["message"], **who),
            moved(one["instance"], service=one["service"], worker=9, path=one["path"]),
        ]
    told = report(entries, Question(project=PROJECT, secret=SECRET, now=T0 + 60 * SECOND, counted=Counted.constant(1)))
    markup = Markup(page(told))

    assert markup.tags <= TAGS
    assert markup.attributes <= OUTSIDE_BODY | {"class", "style", "title"}
    assert all(BAR.fullmatch(style) for style in markup.styles)
    assert not markup.comments
    for brief in (False, True):
        assert all(line.isprintable() for line in lines(told, brief=brief))
