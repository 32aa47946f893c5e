"""What changes have in common: they are on record before they are done."""

from query.api.http.call import Call
from query.auth.access_audit import AccessAudit, Outcome


async def recorded(audit: AccessAudit, call: Call, said: str = "") -> None:
    """Record a change that is about to be made. Raises AuditNotWritten: then it is not made.

    `said` is what the body asks for, in words; it is redacted like every question.
    """
    call.said = said
    await audit.require(call.event(Outcome.SUCCESS))
    call.is_recorded = True
