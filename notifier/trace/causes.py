"""Why an instance does not serve the version that it should, as far as its entries tell, and what to do. Pure."""

from typing import Final, NamedTuple

from .registers import Trouble


class Cause(NamedTuple):
    """A likely cause and the next step, each a sentence for people."""

    cause: str
    advice: str


FIXED: Final = Cause(
    "declared static, or pinned to a version: it never follows",
    "restart the instance, or move the pin; retire no version that a pin names",
)
SILENT: Final = Cause(
    "silent since before the version was added: stopped, frozen, asleep, or gone without a word",
    "see whether it runs; on Cloud Run with CPU during requests only, a request wakes it; end it if it is stuck",
)
UNPUBLISHED: Final = Cause(
    "Secret Manager could not publish the news: a topic of the secret is gone, or may not be published to",
    'see "Secret Manager cannot publish" in the runbook; then POST /secrets/refresh to it',
)
PASSED_OVER: Final = Cause(
    "alive, but the news did not reach it",
    'POST /secrets/refresh to it, or wait for its safety read; a push reaches one instance: see events="both"',
)
SOME_WORKERS: Final = Cause(
    "some of its workers have followed, others have not said so",
    "they catch up before their next request; a worker that is stuck in one is ended by its server's timeout",
)
UNHEARD: Final = Cause(
    "not every worker of it has said which version it serves",
    "call cache.load() at the start, so that each does; look back further with --since",
)

_OF_TROUBLE: Final = {
    "held_back": Cause("the new value was refused", "add a version with a good value"),
    "refresh_failed": Cause(
        "Secret Manager did not give it the version",
        "see the reason: a permission (roles/secretmanager.secretAccessor), a disabled key, or an outage",
    ),
    "revoked": Cause("no version was usable for it", "enable one or add one"),
    "waiting": Cause("no usable version at that moment", "see whether the alias or the secret is being moved"),
    "would_refresh": Cause("it merely observes", "take observe=True away where it is to follow"),
    "frozen": Cause("KEYTURN_FREEZE is set", "take the variable away and restart"),
    "fallback_served": Cause(
        "Secret Manager gave it nothing when it started, so something stands in",
        "see the reason; it follows as soon as Secret Manager answers",
    ),
}


def of_trouble(trouble: Trouble) -> Cause:
    """What a worker's own entry says, with its text."""
    cause = _OF_TROUBLE[trouble.event]
    said = trouble.text.removeprefix(f"{trouble.event}: ")
    return cause._replace(cause=f"{cause.cause} ({said})") if said else cause
