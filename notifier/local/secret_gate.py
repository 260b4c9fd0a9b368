"""What every call of the Secret Manager passes, whatever way it came: time, quotas, permission; and the audit log."""

from collections.abc import Callable, Mapping
from typing import Any

import grpc

from . import well_formed
from .access_log import AccessLog
from .audit import AuditLog
from .audit_entry import Called
from .names import Parent, secret_path, version_parts
from .ports import Report
from .rpc import Method, Refusal, durably
from .secret_callers import SecretCaller
from .secret_due import Due
from .secret_policies import Policies
from .secret_quotas import Quotas
from .secret_rpcs import RPCS, Log, Rpc


_ACCESS = "AccessSecretVersion"


class Gate:
    """Calls methods by their name.

    Args:
        methods: what is called.
        due: does what is due first.
        quotas: counts the call.
        policies: asks whether the caller may.
        audit: keeps the call.
        log: is told of accesses that get no further than this.
        report: told of each call that is refused.
        flush: returns once what was written by then is durable.
    """

    def __init__(
        self,
        methods: Mapping[str, Method],
        *,
        due: Due,
        quotas: Quotas,
        policies: Policies,
        audit: AuditLog,
        log: AccessLog,
        report: Report,
        flush: Callable[[], None],
    ) -> None:
        self._methods = methods
        self._due = due
        self._quotas = quotas
        self._policies = policies
        self._audit = audit
        self._log = log
        self._report = report
        self._flush = flush

    def call(self, name: str, request: Any, caller: SecretCaller) -> Any:
        """Answer a call: what it changed is durable when this returns.

        Raises:
            Refusal: by the quotas, the policies or the method; INVALID_ARGUMENT, it is not `well_formed`;
                UNAVAILABLE, the change could not be made durable.
        """
        well_formed.check(request)
        rpc = RPCS[name]
        resource = rpc.resource(request)
        entered = False
        try:
            self._due.before_call()
            self._quotas.count(name, rpc.quota, _canonical(rpc, resource))
            self._policies.check(caller, rpc.permission, resource)
            entered = True
            answer = self._methods[name].call(request, caller)
        except Refusal as refusal:
            if name == _ACCESS and not entered:
                self._note_access(resource, refusal, caller)
            # Who was not kept out by a policy was permitted.
            granted = entered or refusal.code is not grpc.StatusCode.PERMISSION_DENIED
            self._note(Called(rpc, request, resource, caller, refusal=refusal, granted=granted))
            self._report(f"refused {name} of {resource}: {refusal.code.name}")
            raise
        self._note(Called(rpc, request, resource, caller, response=answer))
        if rpc.log is Log.ADMIN_WRITE:
            durably(self._flush)
        return answer

    def _note(self, called: Called) -> None:
        if self._audit.wants(called.rpc.log):
            self._audit.note(called)

    def _note_access(self, resource: str, refusal: Refusal, caller: SecretCaller) -> None:
        try:
            path, asked = version_parts(resource)
        except Refusal:
            return
        self._log.arrived(path)
        self._log.answered(path, asked, None, refusal.code.name, caller)


def _canonical(rpc: Rpc, resource: str) -> str:
    """The resource with the project's number.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if "=P}" in rpc.path:
        return Parent.parse(resource).path
    if "=S}" in rpc.path:
        return secret_path(resource)
    path, asked = version_parts(resource)
    return f"{path}/versions/{asked}"
