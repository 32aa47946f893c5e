"""Changes are recorded in the audit before they are made."""

from query.api.http.call import Call
from query.auth.access_audit import AccessAudit, Outcome


async def record_change(audit: AccessAudit, call: Call, body: str = "") -> None:
    """Record a change that is about to be made. Raises AuditNotWritten: then it is not made.

    `body` summarizes the request's body; it is redacted like every query.
    """
    call.body_summary = body
    await audit.require(call.event(Outcome.SUCCESS))
    call.is_recorded = True
