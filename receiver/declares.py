"""Declaring secrets: what a type checker sees of each, and what each declaration means."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal, TypeVar, Unpack, overload

from .declaration import Declaration, Options
from .groups import Group, View
from .names import SecretName
from .parsing import Parse
from .secret import Secret
from .telemetry import Voice
from .values import Type


_T = TypeVar("_T")


class Declares(ABC):
    """A project, and the secrets that are declared in it."""

    project: str
    voice: Voice
    _location: str
    _groups: dict[Secret[Any], Group]

    @overload
    def secret(self, name: str, *, type: Literal["text"] = "text", **options: Unpack[Options]) -> Secret[str]: ...
    @overload
    def secret(self, name: str, *, type: Literal["bytes"], **options: Unpack[Options]) -> Secret[bytes]: ...
    @overload
    def secret(self, name: str, *, type: Literal["json"], **options: Unpack[Options]) -> Secret[Any]: ...
    @overload
    def secret(
        self, name: str, *, parse: type[_T], type: Literal["text"] = "text", **options: Unpack[Options]
    ) -> Secret[_T]: ...
    @overload
    def secret(
        self, name: str, *, parse: Callable[[str], _T], type: Literal["text"] = "text", **options: Unpack[Options]
    ) -> Secret[_T]: ...
    @overload
    def secret(
        self, name: str, *, parse: Callable[[bytes], _T], type: Literal["bytes"], **options: Unpack[Options]
    ) -> Secret[_T]: ...
    @overload
    def secret(
        self, name: str, *, parse: Callable[[Any], _T], type: Literal["json"], **options: Unpack[Options]
    ) -> Secret[_T]: ...

    def secret(
        self,
        name: str,
        *,
        parse: Parse | None = None,
        type: Type = "text",  # noqa: A002  # the manifest's word for it
        **options: Unpack[Options],
    ) -> Secret[Any]:
        """Declare a secret and return the handle to read it by. The same declaration returns the same handle.

        Args:
            name: the secret's id.
            type: "text" (UTF-8, one trailing newline dropped), "bytes" (untouched) or "json" (parsed and frozen).
            parse: makes the value of that, once per version: `int`, `Decimal`, `float` (finite ones), `bool` (true, 1,
                yes, false, 0, no), `receiver.URL`, a dataclass or pydantic model (of a JSON object), or any callable.
                It must be quick. A payload that it does not take never becomes the value.
            **options: the rest, all of it optional.
                pin: "latest" (the highest usable version, the default), an alias, or a fixed number.
                location: the region of a regional secret, "" for a global one; the cache's where it is not given.
                static: never change it while the process runs.
                hot_because: why a secret whose name looks like a private or signing key may change nevertheless; it
                needs an `overlap` too.
                on_revoked: what happens when no version is usable any more: "keep" the last good value and log an
                error (the default), or "raise" `SecretRevoked` at each read.
                fallback: "environment" lets the variable of the secret's name stand in while Secret Manager gives no
                value at a start; it is said in the log, parsed but not validated, and replaced as soon as Secret
                Manager answers.
                validate: is called with each new value before it is served, on a thread of its own, and may use it
                (log in, call the provider). Raising, or returning False, refuses it: the last good value stays, the
                log and the status say that it was refused, and it is tried again with backoff and at the next
                event. Only the text of a `ValueRejected` that it raises is told, never that of another exception.
                validate_timeout: seconds after which a validation that has not ended counts as refused (2; at most
                30). A push waits for it.
                overlap: for how many seconds the value before the newest is in `accepted` after its replacement;
                "until_disabled" for as long as its version is usable.

        Raises:
            ValueError: an argument is not one of these, the name looks like a private or signing key and the
                declaration says neither `static=True` nor an overlap and why it is hot, or it contradicts an earlier
                declaration.
        """
        given: dict[str, Any] = {**options}
        location = given.pop("location", None)
        named = SecretName(self.project, name, self._location if location is None else location)
        return self._declare(Declaration(name=named, type=type, parse=parse, **given))

    def group(self, **members: Secret[Any]) -> Group:
        """Declare that secrets belong together, so that `group.held` and views never mix two changes of them.

        Members belong together where their version numbers are equal: whoever rotates them adds one version to each.

        Args:
            members: the secrets, by the names that the group's value has them under; two at least.

        Raises:
            ValueError: there are fewer than two, one is not of this cache, or one is in another group.
        """
        if len(members) < 2:
            raise ValueError("a group has two members at least")
        for name, secret in members.items():
            if not self._is_mine(secret) or secret in self._groups or list(members.values()).count(secret) > 1:
                raise ValueError(f"{name}: a member is a secret of this cache, and of one group, once")
        group = Group(members, self.voice)
        self._groups.update(dict.fromkeys(members.values(), group))
        return group

    def view(self) -> View:
        """Begin a consistent view of the secrets, for the length of a request: `view[secret]` is its value.

        A secret keeps the value that it had when the view first read it, whatever changes meanwhile, and the members
        of a group are read as one. For one thread or task. Costs less than a microsecond.
        """
        return View(self._groups)

    @abstractmethod
    def _is_mine(self, secret: Secret[Any]) -> bool:
        """Whether the handle is of this cache."""

    @abstractmethod
    def _declare(self, declaration: Declaration) -> Secret[Any]:
        """Return the handle of a declaration."""
