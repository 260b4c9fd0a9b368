"""In which kind of world each fault of `mutations.py` shows: where it does harm.

A fault that harms in one world of ten thousand proves little by being found there, and takes an hour. So each says
what it needs: settings, changes of the secret, what happens to workers, and pauses.
"""

from .mutations import ALL, FLEET, INHERITED
from .where import ANYWHERE, Where


#: CPU at any time; Secret Manager answers at once and says what is so; nothing is lost; clocks agree.
_AWAKE = {"platform": "always", "monotonic_stops": False}
_CALM = {
    "slow": 0.0, "failing": 0.0, "lag": 0.0, "dropped": 0.0, "doubled": 0.0, "skew": 0.0, "callbacks_fail": 0.0,
}  # fmt: skip
_PULLING = {"events": "pull", **_AWAKE, **_CALM}

_TWO = {"latest": {}, "alias": {"pin": "live", "type": "text"}}
_RAISES = {"latest": {"on_revoked": "raise"}}

#: One worker, which follows one entry, and starts by itself.
_ALONE = {
    **_AWAKE, **_CALM, "instances": 1, "workers": 1, "entries": {"latest": {}}, "preload": False, "eager": True,
}  # fmt: skip

#: Where a process is forked, at whatever it is about.
_FORKS = Where(faults=("fork", "fork", "kill"))
#: Where instances hear for themselves.
_HEARS = Where({"events": ("pull", "both")})

#: Where instances start when the secret has several versions, and are told of those one by one.
_BORN_BEFORE = Where(
    {**_AWAKE, **_CALM, "events": "push", "lead": (2, 4), "eager": True}, changes=["rotate"], faults=[]
)
#: Where workers start while a version is disabled, which reads do not show yet.
_STARTS_AFTER_A_DISABLING = Where(
    {**_AWAKE, "slow": 0.0, "failing": 0.0, "lag": 3600.0, "events": "push", "workers": (2, 3), "delay": 0.1},
    changes=["rotate", "disable"],
    faults=["kill", "leave"],
)
#: Where who hears for its instance is cut off.
_BREAKS = Where({"events": "pull", **_AWAKE}, faults=["break"])

#: Where what was added before the leader's end is not delivered, and Pub/Sub takes long to answer the next one.
_TAKES_OVER = Where(
    {**_PULLING, "workers": (2, 3), "tick": 1.0, "delay": 3.0, "latency": 0.05, "pubsub_latency": 1.5},
    changes=["rotate"],
    faults=["kill_the_leader"],
    pauses=[10.0],
)
_SLOW_START = {**_PULLING, "preload": False, "retained": False, "pubsub_latency": 1.5}

#: By the mutation's name; the others show in any world, in worlds with forks, or in worlds that pull.
_WHERE: dict[str, Where] = {
    # A sibling is stopped for longer than a push may take.
    "waits for a silent sibling without end": Where(
        {**_AWAKE, **_CALM, "events": "push", "workers": (2, 3)}, changes=["rotate"], faults=["stop"], pauses=[10.0]
    ),
    # A sibling looks at the board while it is written, and is stopped before it is told.
    "moves the generation before the file": Where(
        {**_AWAKE, **_CALM, "events": "push", "workers": 2, "eager": True, "tick": 1.0, "delay": 0.1},
        changes=["add"],
        faults=["stop"],
        times=30,
        pauses=[0.5, 10.0],
    ),
    "forgets callbacks that failed": Where({**_AWAKE, **_CALM, "callbacks_fail": 0.5}, changes=["rotate"], faults=[]),
    # Values change while callbacks run.
    "callbacks in any order": Where({"callbacks": 0.9, "callbacks_fail": 0.0}, changes=["rotate"], pauses=[0.5]),
    "reads the board before it can be told": _STARTS_AFTER_A_DISABLING,
    "does not read the board at its start": _STARTS_AFTER_A_DISABLING,
    # A server's clock is a year ahead.
    "does not cut stamps from the future": Where(_CALM, changes=["from_a_bad_clock", "disable", "enable"]),
    # The secret is deleted, and made again or not.
    "takes a deletion for nothing": Where({**_CALM, "entries": _RAISES}, changes=["delete", "rotate"]),
    # Callbacks take a while, and so do accesses: a fork comes in between.
    "keeps the parent's callbacks in a forked child": Where({"callbacks": 0.9}, changes=["rotate"], faults=["fork"]),
    "keeps the parent's refresh in a forked child": Where({"latency": 0.3}, changes=["rotate"], faults=["fork"]),
    # `latest` lags behind, and who starts has not heard of the newest version.
    "does not climb": Where(
        {**_AWAKE, "slow": 0.0, "failing": 0.0, "lag": 3600.0, "delay": 3.0, "preload": False},
        changes=["rotate"],
        faults=["fork", "restart"],
    ),
    # Requests come to a worker that was stopped while a sibling acknowledged.
    "does not look at the board before a request": Where(
        {**_AWAKE, **_CALM, "events": "push", "workers": 2, "preload": False}, changes=["rotate"], faults=["stop"]
    ),
    # A number that was destroyed is there again in the next life, disabled and enabled.
    "a destruction counts for every life": Where(
        {**_AWAKE, **_CALM, "lead": 1, "delay": 0.02},
        changes=["destroy", "delete", "disable", "enable", "enable"],
        faults=[],
        pauses=[0.5],
    ),
    # An instance starts minutes after the secret was made, and hears of that after it has read, and not of all.
    "voids nothing at a creation": _BORN_BEFORE,
    "a late creation voids what was read": _BORN_BEFORE,
    # The secret is re-created while a version is fetched.
    "a refusal refutes what came meanwhile": Where(
        {**_AWAKE, **_CALM, "latency": 0.5, "delay": 0.1}, changes=["add", "delete"], faults=[], pauses=[0.1, 1.0]
    ),
    # One request is stopped in its first read, and another one comes.
    "takes a failure for its own that another's stop made": Where(
        {**_AWAKE, **_CALM, "events": "push", "eager": False, "preload": False, "latency": 0.3},
        changes=["rotate"],
        faults=["stop"],
        pauses=[0.1, 5.0, 10.0],
    ),
    # A request comes after a sleep, and a sibling has news that takes long to fetch.
    "a request waits for each of its reasons": Where(
        {"platform": "requests", "monotonic_stops": False, "workers": (2, 3), "latency": 1.5, "delay": 0.1},
        changes=["rotate"],
        faults=[],
        pauses=[0.1, 60.0],
    ),
    # The newest version is bad when a worker starts.
    "a bad version keeps a start from serving the one below": Where(
        {**_AWAKE, **_CALM, "lead": 2}, changes=["add_good_and_bad", "add"], faults=["kill", "restart"]
    ),
    # Of a re-creation some events are lost, and an alias points at a number of the life before.
    "asks again at once for a number that is not there": Where(
        {**_AWAKE, **_CALM, "entries": _TWO, "events": "push", "latency": 0.02, "lead": 4, "dropped": 0.3},
        changes=["delete", "alias"],
        faults=[],
    ),
    # A good version and a bad one are added together, and come in any order.
    "a bad version holds up a good one": Where(
        {**_AWAKE, **_CALM, "events": "push"}, changes=["add_good_and_bad"], faults=[]
    ),
    # Nobody hears of the new version, and Secret Manager fails when the safety read looks for it.
    "leaves a look that has failed to the next safety read": Where(
        {**_ALONE, "failing": 0.3, "dropped": 1.0, "events": "push", "backstop": 600.0, "tick": 1.0},
        changes=["add"],
        faults=[],
        times=2,
        pauses=[1200.0],
    ),
    # Who starts is told of the creation when it has read nearly all.
    "a start gives up where what it has read is void": Where(
        {**_ALONE, "workers": (2, 3), "events": "pull", "latency": 0.3, "delay": 1.0, "lead": 4},
        changes=["destroy", "disable"],
        faults=["restart"],
        pauses=[1.0],
    ),
    # All versions are disabled when somebody reads first, and an older one is enabled again.
    "a first read in vain outlasts its reason": Where(
        {**_AWAKE, **_CALM, "eager": False, "preload": False, "events": "push", "lead": 2, "workers": 1},
        changes=["disable", "disable", "enable"],
        faults=[],
    ),
    # Of a re-creation the ADD alone comes, again and again, and Secret Manager fails.
    "takes a failure for an answer to what looks like a new life": Where(
        {**_AWAKE, **_CALM, "failing": 0.3, "dropped": 0.3, "doubled": 0.3, "delay": 0.1, "events": "push"},
        changes=["delete", "add"],
        faults=[],
    ),
    # A child reads an alias that was moved away from a disabled version, and the read lags.
    "takes an alias that is read in vain for the last word": Where(
        {**_AWAKE, **_CALM, "lag": 5.0, "entries": _TWO, "events": "push", "lead": 4, "delay": 0.1},
        changes=["alias", "disable"],
        faults=["fork"],
        pauses=[0.5, 5.0],
    ),
    # A child is forked between the creation of a secret and its first version.
    "does not wait in a forked child while a secret is created anew": Where(
        {**_AWAKE, **_CALM, "events": "push", "entries": _RAISES}, changes=["create_anew"], faults=["fork"], times=3
    ),
    # A child is forked while reads raise, and what follows has the number of what was there before.
    "callbacks do not hear of another life's value in a forked child": Where(
        {**_AWAKE, **_CALM, "events": "push", "entries": _RAISES}, changes=["delete"], faults=["fork"]
    ),
    # The secret is deleted, and a child has only what its parent served.
    "serves what was revoked in a forked child": Where(
        {**_AWAKE, **_CALM, "entries": _RAISES}, changes=["delete"], faults=["fork"]
    ),
    # A child is forked after a change of which nobody has heard yet.
    "keeps the parent's value in a forked child": Where(
        {**_AWAKE, **_CALM, "delay": 3.0}, changes=["rotate"], faults=["fork"]
    ),
    # A thread takes in what was pushed while another one forks.
    "keeps the parent's locks in a forked child": Where(
        {**_AWAKE, **_CALM, "preload": False, "doubled": 0.5, "entries": _TWO}, changes=["rotate"], faults=["fork"]
    ),
    # The child is no member, and hears of nothing.
    "keeps the parent's membership in a forked child": Where(
        {**_AWAKE, **_CALM, "events": "push", "preload": False}, changes=["rotate"], faults=["fork"]
    ),
    # A leader dies whose child lives on.
    "its signs of life are inherited by children": Where(
        {**_PULLING, "preload": False}, faults=["fork", "kill_the_leader"]
    ),
    # Messages wait for their turn.
    "does not apply what was put off": Where({"events": "pull", "spread": 2.0}),
    # Pub/Sub fails.
    "tries a subscription that could not be made once": Where({"events": "pull", "pubsub_failing": 0.2}),
    # Streams break, or somebody deletes the subscription.
    "does not open a broken stream again": _BREAKS,
    "does not notice that its subscription is gone": _BREAKS,
    "does not seek back": _BREAKS,
    "seeks back over a moment only": _BREAKS,
    # Leaders die.
    "nobody takes a dead leader's seat": Where({"events": "pull", "workers": (2, 3)}, faults=["kill_the_leader"]),
    # Instances end in good order, or their last worker does and another one follows.
    "leaves its subscription behind": Where(_PULLING, faults=["scale_in"]),
    "takes the container's knowledge along where another worker follows": Where(
        {"gunicorn": True, "workers": 1}, faults=["leave"]
    ),
    # The leader forks, and dies.
    "keeps the parent's connection in a forked child": Where(
        {"events": "pull", "preload": False}, faults=["fork", "kill_the_leader"]
    ),
    # The leader forks.
    "keeps the parent's term in a forked child": Where({**_PULLING, "preload": False, "workers": 1}, faults=["fork"]),
    # The leader forks while it applies what it pulled, and its child takes over.
    "keeps the parent's messages in a forked child": Where(
        {**_PULLING, "preload": False, "workers": 1, "latency": 0.3},
        changes=["rotate"],
        faults=["fork", "fork", "kill_the_leader"],
        pauses=[0.1, 1.0],
    ),
    # The last worker leaves while it looks for what was missed.
    "joins anew with what it began before it left": Where(
        {**_PULLING, "workers": 1, "preload": False, "latency": 0.5, "pubsub_latency": 1.0},
        faults=["scale_in", "break"],
    ),
    # A leader is stopped for longer than it is waited for.
    "nobody stands in for a stopped leader": Where(
        {**_PULLING, "workers": (2, 3)}, faults=["kill_the_leader"], pauses=[10.0]
    ),
    # A version is disabled and enabled again, and a worker starts while both come.
    "does not know of what waits for its turn": Where(
        {**_ALONE, "events": "pull", "latency": 0.3, "delay": 0.1, "lead": (1, 2)},
        changes=["disable", "enable"],
        faults=["restart"],
        pauses=[3.0],
    ),
    # A leader dies between making a subscription and seeking it back.
    "does not seek back what another one may not have": Where(
        {**_PULLING, "workers": (2, 3), "preload": False, "pubsub_latency": 1.5}, faults=["kill_the_leader"]
    ),
    "takes itself for the first leader where another one was": _TAKES_OVER,
    "does not look for what was missed where it takes over": _TAKES_OVER,
    # The topic keeps nothing of what is published before there is a subscription, and it takes Pub/Sub long to make.
    "reads before anybody hears": Where(_SLOW_START, changes=["add"], faults=["restart"], pauses=[1.0]),
    "does not say that it has read before anybody heard": Where(
        {**_SLOW_START, "pubsub_failing": 0.5}, changes=["add"], faults=["restart"], pauses=[1.0]
    ),
    # Two requests come to a worker that has read nothing yet.
    "lets nobody wait to be heard but who reads first": Where(
        {**_SLOW_START, "eager": False}, changes=["add"], faults=["restart"], pauses=[0.1, 1.0]
    ),
    # Somebody deletes the subscription, and the topic keeps nothing of what is published until there is another one.
    "does not look for what was missed where it subscribes anew": Where(
        {**_PULLING, "retained": False}, changes=["rotate"], faults=["break"]
    ),
}  # fmt: skip


def where_of(name: str) -> Where:
    """The kind of world in which a mutation is tried."""
    return _WHERE.get(name) or (_FORKS if name in INHERITED else _HEARS if name in FLEET else ANYWHERE)


assert _WHERE.keys() <= ALL.keys(), "a mutation has another name by now"
