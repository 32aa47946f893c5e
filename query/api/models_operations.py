"""Models of the answers about evidence: figures of ingest, dead letters."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from query.api.models import Model


class IngestMinute(Model):
    """received + derived = stored + duplicate + dead + rejected."""

    minute: datetime
    ingest_key_id: int | None
    """Null in sums over all keys."""
    source_module: str | None
    """Empty where a rejected record says none; null in sums over all modules."""
    reason: str | None
    """Of a row that counts rejected records."""
    received: int
    derived: int
    stored: int
    duplicate: int
    dead: int
    rejected: int


class SpoolWaiting(Model):
    """What lies in a spool of the query server's machine: acknowledged, not in the database yet."""

    spool: str
    requests: int
    rows: int
    quarantined_frames: int
    """Damaged frames that were set aside; the ledger has an entry `corrupt` for each."""
    quarantined_rows: int


class LastCheck(Model):
    """The last hourly comparison of the figures with counted rows."""

    began_at: datetime
    ended_at: datetime
    rows: int
    segments: int
    differences: list[str]
    """In words; none: it balances."""


class IngestLedger(Model):
    """Figures per minute of arrival, newest first."""

    data: list[IngestMinute]
    next_cursor: None
    totals: dict[str, int]
    """Over the rows of this answer."""
    is_cut: bool
    """There are more rows: narrow the times."""
    spools: list[SpoolWaiting]
    last_check: LastCheck | None
    """Null: none has been made yet."""


class DeadLetter(Model):
    """A row that PostgreSQL refused."""

    id: int
    batch_id: str
    position: int
    class_name: Annotated[str, Field(alias="class")]
    sqlstate: str
    reason: str
    received_at: datetime
    made_at: datetime
    state: Literal["waiting", "replayed", "discarded"]
    note: str | None


class DeadLetterPage(Model):
    """Dead letters of a state, oldest first."""

    data: list[DeadLetter]
    next_cursor: str | None


class DeadLetterRow(DeadLetter):
    """With its row, column by column."""

    row: dict[str, JsonValue]


class DeadLetterOutcome(Model):
    """What became of it."""

    id: int
    is_stored: bool
    reason: str
