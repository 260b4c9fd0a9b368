"""The filter of lists, on messages."""

import pytest
from google.cloud.secretmanager_v1.types import resources

from notifier.local.rpc import Refusal
from notifier.local.secret_filter import parse


SECRET = resources.Secret.pb()(
    name="projects/1/secrets/db-main",
    labels={"env": "prod", "team": "Blue"},
    annotations={"note": "a b"},
    version_aliases={"old": 9},
)
SECRET.replication.user_managed.replicas.add(location="us-east1")
SECRET.topics.add(name="projects/demo/topics/news")
SECRET.create_time.FromJsonString("2026-10-02T05:03:33.25Z")


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("", True),
        ("name:db", True),
        ("name:DB", True),
        ("name:other OR name:main", True),
        ("name:other", False),
        ("db-main", True),
        ("labels.env=prod", True),
        ("labels.env=PROD", False),
        ("labels.env!=prod", False),
        ("labels.none=prod", False),
        ("labels.none!=prod", True),
        ("labels:team", True),
        ("labels:none", False),
        ("create_time<2026-10-02T06:00:00Z AND create_time>2026-10-02T05:00:00Z", True),
        ("createTime>=2026-10-02T00:00:00-05:00 create_time<2030-01-01T00:00:00Z", True),
        ("create_time<2026-01-01T06:00:00Z", False),
        ("replication.automatic:*", False),
        ("replication.user_managed.replicas.location:* AND NOT replication.userManaged.replicas.location:asia", True),
        ("-labels.env=prod", False),
        ("NOT (name:x OR name:y) AND topics.name:news", True),
        ("annotations.note='a b'", True),
        ('annotations.note="a b"', True),
        ("version_aliases.old>10", False),
        ("version_aliases.old<10", True),
        ("name:other OR name:db AND name:none", False),
    ],
)
def test_filters(text, passes):
    """What a filter says is what is let through."""
    assert passes is parse(text)(SECRET)


@pytest.mark.parametrize("text", ["(", "name:", "AND", "name:a AND", "a)", "NOT", "name=(", "'", "name = = a", "OR b"])
def test_what_cannot_be_read_is_refused(text):
    """A filter that makes no sense is INVALID_ARGUMENT, never all or nothing."""
    with pytest.raises(Refusal, match="not valid"):
        parse(text)
