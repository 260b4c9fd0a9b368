"""The backlog of a subscription against a simple model, whatever is done in whatever order.

No message is lost; none that was acknowledged comes again but by a seek, or because an earlier one of its ordering key
does; the order within a key is kept; and what was written down is what there is, so that a crash changes nothing.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from notifier.local.backlog import Backlog, Keeping
from notifier.local.messages import Message, Rules


#: Settled is what is acknowledged while an earlier one of its ordering key is not: it comes again with that one.
WAITING, SETTLED, ACKNOWLEDGED, BURIED = "waiting", "settled", "acknowledged", "buried"

KEYS = st.lists(st.sampled_from(["", "a", "a", "b"]), min_size=1, max_size=4)

#: Which of the newest leases, and what becomes of it: for a refusal, the wait.
ANSWERS = st.lists(
    st.tuples(
        st.integers(min_value=1, max_value=6), st.sampled_from(["acknowledge", "acknowledge", "extend", None, 0.0, 3.0])
    ),
    max_size=5,
)


class Written(Keeping):
    """What a journal would hold."""

    def __init__(self):
        self.waiting, self.kept = {}, {}

    def waits(self, number, message):
        assert number not in self.waiting
        self.waiting[number] = message

    def acknowledged(self, number, message):
        self.kept[number] = message
        self.waiting.pop(number, None)

    def gone(self, number, *, acknowledged=False):
        (self.kept if acknowledged else self.waiting).pop(number, None)


class BacklogMachine(RuleBasedStateMachine):
    @initialize(
        ordered=st.sampled_from([True, True, False]),
        retained=st.booleans(),
        attempts=st.sampled_from([0, 0, 2]),
        backoff=st.sampled_from([(0.0, 0.0), (1.0, 4.0)]),
    )
    def begin(self, **rules):
        self.now = 0.0
        self.rules = Rules(**rules)
        self.written = Written()
        self.count = 0
        self.state = {}
        self.messages = {}
        self.leases = []
        # Leases of before a seek say nothing any more.
        self.ended = set()
        self.backlog = self.new()

    def new(self):
        def bury(number, message, _attempt):
            self.state[message.id] = BURIED
            self.written.gone(number)
            self.settle(message.ordering_key)
            return True

        return Backlog(clock=lambda: self.now, rules=self.rules, keeping=self.written, bury=bury, number=self.number)

    def number(self):
        self.count += 1
        return self.count

    def line(self, key):
        """The messages of a key in their order, where the order counts."""
        ordered = self.rules.ordered and key
        return [name for name, one in self.messages.items() if ordered and one.ordering_key == key]

    def earlier(self, name):
        """Those of its key that were published before it and are not acknowledged."""
        line = self.line(self.messages[name].ordering_key)
        return [one for one in line[: line.index(name)] if self.state[one] == WAITING] if line else []

    def settle(self, key):
        for name in self.line(key):
            if self.state[name] == SETTLED and not self.earlier(name):
                self.state[name] = ACKNOWLEDGED

    @rule(
        keys=st.lists(st.sampled_from(["", "a", "a", "b"]), min_size=1, max_size=4), delay=st.sampled_from([0.0, 5.0])
    )
    def publish(self, keys, delay):
        for key in keys:
            name = str(len(self.messages) + 1)
            self.messages[name] = Message(name, float(len(self.messages)), b"x", {}, key)
            self.state[name] = WAITING
            self.backlog.put(self.messages[name], delay=delay)

    def take(self, most, seconds, answers):
        self.hand_over(most, seconds)
        self.answer(answers)

    @rule(most=st.integers(min_value=1, max_value=6), seconds=st.sampled_from([5.0, 20.0]), answers=ANSWERS)
    def pull(self, most, seconds, answers):
        self.take(most, seconds, answers)

    def hand_over(self, most, seconds):
        taken = self.backlog.take(most, seconds)
        assert len(taken) <= most
        last = {}
        for lease in taken:
            name, message = lease.message.id, lease.message
            assert self.messages[name] == message
            line = self.line(message.ordering_key)
            if line and message.ordering_key not in last:
                # The first one of its key in an answer is the earliest that there is, and brings the later ones along.
                assert [] == self.earlier(name)
                for later in line[line.index(name) :]:
                    if self.state[later] == SETTLED:
                        self.state[later] = WAITING
            elif line:
                between = line[line.index(last[message.ordering_key]) + 1 : line.index(name)]
                assert WAITING not in {self.state[one] for one in between}
            assert WAITING == self.state[name]
            last[message.ordering_key] = name
            self.leases.append(lease)
        return taken

    def waiting(self):
        return {message.id for message in self.backlog.messages()[0]}

    @rule(answers=ANSWERS)
    def answer(self, answers):
        """Acknowledge, refuse or extend some of the newest leases."""
        for pick, how in answers:
            if pick > len(self.leases):
                continue
            lease = self.leases[-pick]
            if how == "acknowledge":
                self.acknowledge(lease)
            elif how == "extend":
                self.backlog.extend(lease.id, 60.0)
            else:
                self.backlog.refuse(lease.id, how)

    def acknowledge(self, lease):
        name = lease.message.id
        there = self.state[name] == WAITING and lease.id not in self.ended
        assert there == self.backlog.acknowledge(lease.id)
        if there:
            self.state[name] = SETTLED if self.earlier(name) else ACKNOWLEDGED
            self.settle(lease.message.ordering_key)

    @rule(seconds=st.sampled_from([1.0, 5.0, 30.0]), answers=ANSWERS)
    def pass_time(self, seconds, answers):
        self.now += seconds
        self.take(6, 5.0, answers)

    @rule(chosen=st.sets(st.integers(min_value=1, max_value=30)))
    def seek(self, chosen):
        known = sorted([*self.backlog.messages()[0], *self.backlog.messages()[1]], key=lambda one: one.at)
        self.backlog.replace(
            [one for one in known if int(one.id) in chosen], [one for one in known if int(one.id) not in chosen]
        )
        self.ended.update(lease.id for lease in self.leases)
        for one in known:
            self.state[one.id] = WAITING if int(one.id) in chosen else ACKNOWLEDGED

    @rule()
    def crash(self):
        waiting, kept = dict(sorted(self.written.waiting.items())), dict(self.written.kept)
        for message in waiting.values():
            assert self.state[message.id] in {WAITING, SETTLED}
            self.state[message.id] = WAITING
        self.backlog = self.new()
        self.backlog.restore(waiting, kept)

    @invariant()
    def nothing_is_lost(self):
        if hasattr(self, "backlog"):
            assert {name for name, state in self.state.items() if state == WAITING} == self.waiting()
            assert {name for name, state in self.state.items() if state in {WAITING, SETTLED}} == {
                message.id for message in self.written.waiting.values()
            }

    def teardown(self):
        """Everything that waits comes in the end, and in the order of its key."""
        if not hasattr(self, "backlog"):
            return
        came = []
        for _ in range(3 * len(self.state) + 3):
            self.now += 1000.0
            for lease in self.hand_over(100, 5.0):
                assert self.backlog.acknowledge(lease.id)
                self.state[lease.message.id] = ACKNOWLEDGED
                came.append(lease.message)
        assert {WAITING, SETTLED}.isdisjoint(self.state.values())
        assert 0 == len(self.backlog)
        assert {} == self.written.waiting
        for key in "ab":
            if self.rules.ordered:
                numbers = [int(one.id) for one in came if one.ordering_key == key]
                assert sorted(numbers) == numbers


TestBacklog = BacklogMachine.TestCase
TestBacklog.settings = settings(max_examples=max(80, settings().max_examples // 10), stateful_step_count=30)
