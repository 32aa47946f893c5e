"""Who asked for what: a record of class audit for each access, before any byte leaves.

The events go to whatever keeps them (`Keep`: the query server's own spool and writer). Questions
are answered when that fails, which is counted; exports and changes are not.
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

MAX_QUESTION = 4096
"""Longest question that is kept; of a longer one its beginning, its length and its SHA-256."""
_NOT_STORED = re.compile("[\0\ud800-\udfff]")
"""PostgreSQL has no place for them; whoever asks with them must leave a record all the same."""


class Outcome(StrEnum):
    """How an access ended."""

    SUCCESS = "success"
    DENIED = "denied"
    """The role lacks the permission."""
    FAILURE = "failure"
    """Refused as invalid, or stopped on the way."""


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
    """First digits of the token's SHA-256."""
    client_address: str | None
    permission: str
    """What the route asks for."""
    route: str
    """Path of the route with its placeholders."""
    question: str
    """Path values and parameters as typed, redacted."""
    rows: int | None
    """Records given out; None where that is not known yet."""
    error: str
    """Code of the error, or ""."""
    request_id: str


Keep: TypeAlias = Callable[[AccessEvent], Awaitable[None]]
Redact: TypeAlias = Callable[[str], str]


class AccessAudit:
    """Hands events on, redacted."""

    def __init__(self, keep: Keep, redact: Redact, stored_as: StoredAs) -> None:
        self._keep = keep
        self._redact = redact
        self._stored_as = stored_as

    async def note(self, event: AccessEvent) -> None:
        """Record an access; that it could not be is counted and logged, and nothing else."""
        try:
            await self._hand_on(event)
        except OpslogError as error:
            ACCESSES_NOT_RECORDED.labels(event.action).inc()
            _log.error("an access was not recorded: %s %s", event.action, error.code)

    async def require(self, event: AccessEvent) -> None:
        """Record an access, or raise AuditNotWritten, so that nothing is given out."""
        try:
            await self._hand_on(event)
        except OpslogError as error:
            ACCESSES_NOT_RECORDED.labels(event.action).inc()
            raise AuditNotWritten(f"{error.code}: nothing was given out") from error

    async def _hand_on(self, event: AccessEvent) -> None:
        question = self._redact(_cut(_storable(event.question)))
        # As the actor of any other record: an e-mail address becomes its joinable token.
        subject = self._stored_as("user.id", _storable(event.subject))
        role = _storable(event.role)
        await self._keep(replace(event, question=question, subject=subject, role=role))


def _storable(text: str) -> str:
    """The text as a column can hold it."""
    return _NOT_STORED.sub("\ufffd", text)


def _cut(question: str) -> str:
    """The question, or what tells it apart: nothing hides behind a long beginning."""
    if len(question) <= MAX_QUESTION:
        return question
    digest = hashlib.sha256(question.encode()).hexdigest()
    return f"{question[:MAX_QUESTION]}… ({len(question)} characters, SHA-256 {digest})"
