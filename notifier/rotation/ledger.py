"""Where the state of a rotation is kept: in an annotation of the candidate's secret, changed by its etag."""

from collections.abc import Callable, Mapping

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
        self._secret = plan.companion
        try:
            described = vault.describe(plan.companion)
        except Absent:
            raise Absent(
                f"{plan.companion} does not exist; it holds the candidates of {plan.secret.secret} and is made by the "
                "Terraform module"
            ) from None
        self._annotations = described.annotations
        self._etag = described.etag
        try:
            self.state = State.parse(described.annotations.get(STATE))
        except UnreadableState as exc:
            raise VaultError(f"{plan.companion}: {exc}") from None

    @property
    def paused(self) -> str | None:
        """Why somebody paused the rotation; None where nobody did."""
        return self._annotations.get(PAUSED)

    def save(self, state: State) -> None:
        """Replace the state.

        Raises:
            Conflict: somebody else did, since this was read.
            VaultError: it could not be noted.
        """
        self._write({**self._annotations, STATE: state.text()})
        self.state = state

    def pause(self, because: str | None) -> None:
        """Note that it is paused, or no longer (None); raises as `save` does."""
        kept = {name: text for name, text in self._annotations.items() if name != PAUSED}
        self._write(kept if because is None else {**kept, PAUSED: safe(because) or "no reason was given"})

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
