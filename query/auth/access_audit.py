"""Access audit: a record of class audit for each access, written before the response is sent.

Events are stored by `Keep` (the query server's spool and writer). If that fails, queries continue
and the failure is counted; exports and changes are refused.
"""

import hashlib
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from config.errors import OpslogError
from query.errors import AuditNotWritten
from query.language.terms import StoredAs
from query.metrics import ACCESSES_NOT_RECORDED

_log = logging.getLogger(__name__)

MAX_QUERY = 4096
"""Longest query that is recorded; a longer one is truncated, with its length and SHA-256."""
_NOT_STORED = re.compile("[\0\ud800-\udfff]")
"""PostgreSQL cannot store them; such a request must be recorded all the same."""


class Outcome(StrEnum):
    """How an access ended."""

    SUCCESS = "success"
    DENIED = "denied"
    """The role lacks the permission."""
    FAILURE = "failure"
    """Rejected as invalid, or aborted."""


@dataclass(frozen=True, slots=True)
class AccessEvent:
    """One access; the fields of a record of class audit."""

    at_unix_ns: int
    action: str
    """`logs.search`, `logs.export`, …: object.verb."""
    outcome: Outcome
    subject: str
    """`sub` of the token."""
    role: str
    token: str
    """First hex digits of the token's SHA-256."""
    client_address: str | None
    permission: str
    """What the route requires."""
    route: str
    """Path of the route with its placeholders."""
    query: str
    """Path values and parameters as received, redacted."""
    rows: int | None
    """Number of records returned; None if not known yet."""
    error: str
    """Code of the error, or ""."""
    request_id: str


Keep: TypeAlias = Callable[[AccessEvent], Awaitable[None]]
Redact: TypeAlias = Callable[[str], str]


class AccessAudit:
    """Redacts events and stores them."""

    def __init__(self, keep: Keep, redact: Redact, stored_as: StoredAs) -> None:
        self._keep = keep
        self._redact = redact
        self._stored_as = stored_as

    async def note(self, event: AccessEvent) -> None:
        """Record an access; a failure is only counted and logged."""
        try:
            await self._store(event)
        except OpslogError as error:
            ACCESSES_NOT_RECORDED.labels(event.action).inc()
            _log.error("access not recorded: %s %s", event.action, error.code)

    async def require(self, event: AccessEvent) -> None:
        """Record an access, or raise AuditNotWritten, so that nothing is returned."""
        try:
            await self._store(event)
        except OpslogError as error:
            ACCESSES_NOT_RECORDED.labels(event.action).inc()
            raise AuditNotWritten(f"{error.code}: nothing was returned") from error

    async def _store(self, event: AccessEvent) -> None:
        query = self._redact(_cut(_storable(event.query)))
        # Like the actor of any other record: an e-mail address becomes its token.
        subject = self._stored_as("user.id", _storable(event.subject))
        role = _storable(event.role)
        await self._keep(replace(event, query=query, subject=subject, role=role))


def _storable(text: str) -> str:
    """The text with characters replaced that a column cannot store."""
    return _NOT_STORED.sub("\ufffd", text)


def _cut(query: str) -> str:
    """The query, or its prefix and hash, so that long queries remain distinguishable."""
    if len(query) <= MAX_QUERY:
        return query
    digest = hashlib.sha256(query.encode()).hexdigest()
    return f"{query[:MAX_QUERY]}… ({len(query)} characters, SHA-256 {digest})"
