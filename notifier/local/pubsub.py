"""A Pub/Sub on loopback that the official clients talk to unchanged, with push, and faults on demand."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Self

import grpc
from google.pubsub_v1.types import pubsub

from . import pubsub_pull, well_formed
from .broker import Broker
from .fault_plan import FaultPlan, PushFault
from .issuer import Issuer
from .journal import Journal
from .ports import Report, Wall, unheard
from .pubsub_policies import IAM
from .pubsub_publisher import PUBLISHER, PublisherService
from .pubsub_rpcs import PATTERNS, spellings
from .pubsub_subscriber import SUBSCRIBER, SubscriberService
from .push import PushAttempt
from .rest_routes import Routes
from .rest_server import RestServer
from .rpc import LOOPBACK, Caller, Method, Refusal, Server, durably


_HERE = Caller()

# A publish request may be 10 MB [documented], and base64 makes it a third larger.
_LARGEST_BODY = 14 * 1024 * 1024

# What only reads waits for nothing, and goes on where the disk is full.
_READING = ("Get", "List", "Test")

# Ending takes at most about this long, whatever the endpoints do.
_GRACE = 2.0


class PubSub:
    """Serve google.pubsub.v1.Publisher and Subscriber, for any projects; pushes go out at once.

    By gRPC at `host` and by REST at `rest_url`, which Terraform's google provider takes as
    `pubsub_custom_endpoint = "{rest_url}/v1/"`. Thread-safe. Topics and subscriptions are called by their full names.

    Args:
        issuer: signs the tokens of pushes.
        wall: wall time.
        port: 0 takes a free one.
        address: to listen on; everybody who reaches it may do everything.
        report: told of each change and each push, in a line for people.
        push_timeout: seconds for a push in place of the ack deadline, so that tests of endpoints that hang are short.
        longest_pause: seconds that push backoff leaves an endpoint alone which refuses more than one push a second;
            production's is a minute, which is the most that it can be here too.
        clock: monotonic seconds, for leases and waits; after moving it call `look_again`.
        journal: where all that is acknowledged is kept over a restart; None keeps nothing.

    Raises:
        PortInUse: the port is taken.
    """

    def __init__(
        self,
        *,
        issuer: Issuer,
        wall: Wall,
        port: int = 0,
        address: str = LOOPBACK,
        report: Report = unheard,
        push_timeout: float | None = None,
        longest_pause: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        journal: Journal | None = None,
    ) -> None:
        self._report = report
        self._broker = Broker(
            issuer=issuer,
            wall=wall,
            report=report,
            push_timeout=push_timeout,
            longest_pause=longest_pause,
            clock=clock,
            journal=journal,
        )
        self._publisher = PublisherService(self._broker, report=report)
        self._subscriber = SubscriberService(self._broker, report=report)
        services = {
            PUBLISHER: self._durable(self._publisher.methods()),
            SUBSCRIBER: self._durable(self._subscriber.methods()),
            IAM: self._durable(self._broker.policies.methods()),
        }
        self._server = Server("pubsub", port=port, address=address, services=services)
        self._server._server.add_generic_rpc_handlers((self._streams(),))
        self.host = self._server.host
        self._methods = {name: method for served in services.values() for name, method in served.items()}
        self._routes = Routes(spellings(self._methods), PATTERNS)
        self._rest = RestServer(
            "pubsub",
            routes=self._routes,
            answer=lambda name, request, _said, peer: self._methods[name].call(request, Caller(peer=peer)),
            largest=_LARGEST_BODY,
            address=address,
        )
        self.rest_url = self._rest.url

    def _durable(self, methods: Mapping[str, Method]) -> dict[str, Method]:
        """The methods, answering once what they changed is durable, with their refusals reported."""

        def durable(name: str, call: Callable[[Any, Caller], Any]) -> Callable[[Any, Caller], Any]:
            def answer(request: Any, caller: Caller) -> Any:
                try:
                    well_formed.check(request)
                    answered = call(request, caller)
                    if not name.startswith(_READING):
                        durably(self._broker.journal.flush)
                except Refusal as refusal:
                    self._report(f"refused {name}: {refusal.message}")
                    raise
                return answered

            return answer

        return {name: Method(method.request, durable(name, method.call)) for name, method in methods.items()}

    def _streams(self) -> grpc.GenericRpcHandler:
        streaming_pull: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(
            lambda requests, context: pubsub_pull.serve(self._broker, requests, context),
            request_deserializer=pubsub.StreamingPullRequest.pb().FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
        return grpc.method_handlers_generic_handler(SUBSCRIBER, {"StreamingPull": streaming_pull})

    def stop(self) -> None:
        """Cut off what is under way, and end within about two seconds."""
        deadline = time.monotonic() + _GRACE
        self._broker.close(deadline)
        self._rest.stop()
        self._server.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def has_topic(self, topic: str) -> bool:
        """Whether the topic exists."""
        return self._broker.has_topic(topic)

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> str | None:
        """Send one message from inside the process and return its id; None where there is no such topic.

        It becomes durable with whatever is flushed next: the Secret Manager's call that it tells of, say.
        """
        return self._broker.publish(topic, data, attributes)

    def create_topic(self, topic: str) -> None:
        """Create a topic from inside the process.

        Raises:
            Refusal: as CreateTopic refuses.
        """
        self._publisher.create_topic(pubsub.Topic.pb()(name=topic), _HERE)

    def create_push(
        self,
        subscription: str,
        *,
        topic: str,
        url: str,
        sender: str | None = None,
        audience: str | None = None,
        ack_deadline: int = 10,
        backoff: tuple[float, float] | None = None,
        strip_signature: bool = False,
        filter: str = "",  # noqa: A002 - the field's name
        dead_letter: tuple[str, int] | None = None,
        unwrapped: bool = False,
        write_metadata: bool = False,
        expires: bool = True,
    ) -> None:
        """Create a subscription that pushes, from inside the process.

        Args:
            subscription: full name.
            topic: full name.
            url: the endpoint.
            sender: address of the service account in the OIDC token; None sends no token.
            audience: of the token; None means `url`.
            ack_deadline: seconds, 10 to 600.
            backoff: shortest and longest wait of the retry policy; None means none.
            filter: an expression of the filter language; what does not match is not delivered.
            dead_letter: the full name of the topic for messages that were not acknowledged in so many attempts.
            unwrapped: push the data alone, as it is.
            write_metadata: with the attributes, the id and the time as headers; only where `unwrapped`.
            expires: whether it is deleted when nobody has used it for a month.
            strip_signature: push tokens as a service finds them that only Cloud Run's invoker check lets in: with
                `SIGNATURE_REMOVED_BY_GOOGLE` in place of the signature.

        Raises:
            Refusal: as CreateSubscription refuses.
        """
        message = pubsub.Subscription.pb()(
            name=subscription, topic=topic, ack_deadline_seconds=ack_deadline, filter=filter
        )
        message.push_config.push_endpoint = url
        if unwrapped:
            message.push_config.no_wrapper.write_metadata = write_metadata
        if sender is not None:
            message.push_config.oidc_token.service_account_email = sender
            message.push_config.oidc_token.audience = audience or ""
        if not expires:
            # A policy that says nothing is for ever [documented].
            message.expiration_policy.SetInParent()
        if backoff is not None:
            message.retry_policy.minimum_backoff.FromMilliseconds(int(backoff[0] * 1000))
            message.retry_policy.maximum_backoff.FromMilliseconds(int(backoff[1] * 1000))
        if dead_letter is not None:
            policy = message.dead_letter_policy
            policy.dead_letter_topic, policy.max_delivery_attempts = dead_letter
        self._subscriber.create(message, _HERE, strip_signature=strip_signature)

    def subscriptions(self, project: str) -> list[str]:
        """The full names of a project's subscriptions, by name; the project as `projects/P`."""
        return [subscription.name for subscription in self._broker.subscriptions(project)]

    def undelivered(self, subscription: str) -> int:
        """How many messages of a subscription are not acknowledged.

        Raises:
            Refusal: NOT_FOUND.
        """
        return len(self._broker.subscription(subscription).backlog)

    def pushes(self) -> list[PushAttempt]:
        """The pushes so far, answered or failed, oldest first."""
        return self._broker.pushes.attempts()

    def wait_for_pushes(self, wanted: Callable[[list[PushAttempt]], bool], timeout: float = 5.0) -> bool:
        """Wait until the pushes so far are as `wanted`; False after `timeout` seconds."""
        return self._broker.pushes.wait(wanted, timeout)

    def duplicate(self, topic: str, *, times: int = 1, copies: int = 1, new_id: bool = False) -> None:
        """Deliver each of the next `times` messages of a topic `copies` more times, with the same or new ids."""
        self._broker.faults.duplicate(topic, times=times, copies=copies, new_id=new_id)

    def delay(self, topic: str, seconds: float, *, times: int = 1) -> None:
        """Deliver the next `times` messages of a topic `seconds` late; their publish time tells the truth."""
        self._broker.faults.delay(topic, seconds, times=times)

    def repeat(self, topic: str, *, new_id: bool = False) -> str | None:
        """Deliver the last message of a topic once more, now, and return its id; None where there was none."""
        last = self._broker.faults.last(topic)
        if last is None:
            return None
        again = self._broker.faults.copy(last, new_id)
        self._broker.deliver(topic, again)
        return again.id

    def reorder(self, topic: str, *, times: int = 1) -> None:
        """Let the next `times` messages of a topic be overtaken by those published right after them."""
        self._broker.faults.reorder(topic, times=times)

    def break_pushes(self, subscription: str, fault: str, *, times: int | None = 1) -> None:
        """Let the next `times` pushes of a subscription fail, None until `heal`.

        Args:
            subscription: its full name.
            fault: "down": nobody listens; "drop_before": the connection ends before the request; "drop_after": after
                it; "lose_answer": the answer is not heard.
            times: how many.

        Raises:
            ValueError: there is no such fault.
        """
        self._broker.push_faults.want(subscription, PushFault(fault), times=times)

    def follow(self, plan: FaultPlan | None) -> None:
        """Let messages and pushes meet faults by chance from now on, the same ones for the same seed; None ends it."""
        self._broker.faults.follow(plan)
        self._broker.push_faults.follow(plan)

    def heal(self) -> None:
        """End all faults that were asked for."""
        self._broker.faults.clear()
        self._broker.push_faults.clear()

    def look_again(self) -> None:
        """Let all happen that is due: the clock has been moved."""
        self._broker.look_again()
