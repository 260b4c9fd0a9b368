"""Where the state of a rotation is kept: in an annotation of the candidate's secret, changed by its etag."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from .plan import Plan, safe
from .state import PAUSED, STATE, State, UnreadableState
from .vault import Absent, Conflict, Vault, VaultError


class Page:
    """The state as it was read, which is replaced only as long as nobody else replaced it.

    Args:
        vault: Secret Manager.
        plan: whose state it is.

    Raises:
        Absent: there is no companion.
        VaultError: it could not be read, or is not a state.
    """

    def __init__(self, vault: Vault, plan: Plan) -> None:
        self._vault = vault
        self._plan = plan
        self._secret = plan.companion
        self.state = self._read()

    @property
    def paused(self) -> str | None:
        """Why somebody paused the rotation; None where nobody did."""
        return self._annotations.get(PAUSED)

    def save(self, state: State) -> None:
        """Replace the state. What was asked for or paused since this was read is kept, and stops nobody's work.

        Raises:
            Conflict: somebody else replaced it, since this was read.
            VaultError: it could not be noted.
        """
        for left in range(_TRIES, -1, -1):
            try:
                self._write({**self._annotations, STATE: state.text()})
            except Conflict:
                read = self._read()
                if not left or replace(read, asked=self.state.asked) != self.state:
                    raise
                self.state = read
                state = state.asking(read.asked)
            else:
                self.state = state
                return

    def pause(self, because: str | None) -> None:
        """Note that it is paused, or no longer (None); raises as `save` does."""
        kept = {name: text for name, text in self._annotations.items() if name != PAUSED}
        self._write(kept if because is None else {**kept, PAUSED: safe(because) or "no reason was given"})

    def _read(self) -> State:
        try:
            described = self._vault.describe(self._secret)
        except Absent:
            raise Absent(
                f"{self._secret} does not exist; it holds the candidates of {self._plan.secret.secret} and is made by "
                "the Terraform module"
            ) from None
        self._annotations = described.annotations
        self._etag = described.etag
        try:
            return State.parse(described.annotations.get(STATE))
        except UnreadableState as exc:
            raise VaultError(f"{self._secret}: {exc}") from None

    def _write(self, annotations: Mapping[str, str]) -> None:
        self._etag = self._vault.annotate(self._secret, annotations, etag=self._etag)
        self._annotations = annotations


def changed(vault: Vault, plan: Plan, change: Callable[[Page], None]) -> State:
    """Change the state, again where somebody else was faster.

    Args:
        vault: Secret Manager.
        plan: whose state it is.
        change: called with the page.

    Raises:
        VaultError: it could not be noted.
    """
    for left in range(_TRIES, -1, -1):
        page = Page(vault, plan)
        try:
            change(page)
        except Conflict:
            if not left:
                raise
        else:
            break
    return page.state


#: Others change it a few times in a rotation; more than this in a row is a fault.
_TRIES = 10
