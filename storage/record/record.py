"""The data types of the pipeline: value, attribute, stream, record, batch, part.

redaction creates   Attribute          (the only place: tests/consistency checks)
mapping creates     StreamDef, Record
copy_binary creates Part
"""

from dataclasses import dataclass, field
from typing import Final, NewType, TypeAlias

Value: TypeAlias = "bool | int | float | str | bytes | list[Value] | dict[str, Value] | None"
"""An OTLP AnyValue in Python. Strings have no NUL and no lone surrogates (cleaned by decode)."""

Hit: TypeAlias = tuple[str, int]
"""(rule name, how often): what redaction hid, never the value."""


class Attribute:
    """A key and its redacted value, with its canonical JSON, built once per distinct pair.

    `json` is `"key": value` as PostgreSQL prints jsonb; `order` sorts members as jsonb does (by
    length of the UTF-8 key, then bytes). Instances are shared between records: never modify one.
    """

    __slots__ = ("hits", "json", "key", "order", "value")

    def __init__(
        self, key: str, value: Value, json: bytes, order: bytes, hits: tuple[Hit, ...]
    ) -> None:
        self.key = key
        self.value = value
        self.json = json
        self.order = order
        self.hits = hits


@dataclass(frozen=True, slots=True)
class StreamDef:
    """Resource and scope shared by many records; a row of `log_streams`, immutable."""

    id: int
    """First 8 bytes of `digest`, as a signed 64-bit integer."""
    digest: bytes
    """SHA-256 over canonical resource, scope and schema URLs."""
    resource: bytes
    """Canonical JSON object of the (redacted) resource attributes."""
    scope: bytes
    """Canonical JSON object {name, version, attributes?, dropped…} of the scope."""
    resource_schema_url: str
    scope_schema_url: str


RECORD_FIELDS: Final = (
    "action",
    "actor_id",
    "correlation_id",
    "created_unix_ns",
    "duration_ns",
    "id",
    "ip_address",
    "kind",
    "level",
    "message",
    "metadata",
    "odd_time",
    "parent_span_id",
    "resource_id",
    "resource_type",
    "severity_number",
    "source_module",
    "span_id",
    "stream_id",
    "trace_id",
)
"""The fields of a record."""


class Record:
    """One row of system_logs, redacted and mapped; `None` is SQL NULL.

    Text fields are within their columns' limits. `metadata` is canonical JSON (see canonical.py).
    """

    __slots__ = RECORD_FIELDS

    id: bytes
    """16 bytes, UUIDv7 layout (design: ids)."""
    kind: str
    """'log', 'span' or 'audit'; stored as the first letter."""
    level: int
    severity_number: int
    created_unix_ns: int
    """Nanoseconds since 1970 UTC, 0 <= n < 2**64."""
    odd_time: bool
    """Dated outside [received - 400 d, received + 1 d]: excluded from the zone map."""
    stream_id: int
    duration_ns: int | None
    trace_id: bytes | None
    """16 bytes, or None."""
    span_id: bytes | None
    """8 bytes, or None."""
    parent_span_id: bytes | None
    ip_address: bytes | None
    """4 or 16 bytes, network order."""
    source_module: str
    action: str
    resource_type: str | None
    resource_id: str | None
    actor_id: str | None
    correlation_id: str | None
    message: str
    metadata: bytes


@dataclass(slots=True)
class Batch:
    """One mapped request: records in order, their streams, and what was rejected."""

    records: list[Record]
    streams: dict[int, StreamDef]
    received: int
    """Records (spans) in the request, without derived rows."""
    derived: int = 0
    """Rows derived from others (exception events of spans)."""
    rejected: dict[str, int] = field(default_factory=dict)
    """Reason to count; the reasons are a closed list (otlp_receiver/mapping/reject_reasons.py)."""
    rejected_modules: dict[tuple[str, str], int] = field(default_factory=dict)
    """(reason, source module) to count, of those in `rejected` whose module is known."""
    rejected_at: dict[str, str] = field(default_factory=dict)
    """Reason to the field path of the first record rejected for it, if known."""
    warnings: list[str] = field(default_factory=list)
    """Warnings for the sender although everything was accepted."""
    replaced_characters: int = 0
    """NULs, lone surrogates and invalid UTF-8 replaced by U+FFFD."""
    every_record_has_time: bool = True
    """Whether the request hash may be used to detect duplicates (design section 7)."""
    redactions: dict[str, int] = field(default_factory=dict)
    """Rule to count, for the metrics."""


RedactedBatch = NewType("RedactedBatch", Batch)
"""Created only by otlp_receiver/mapping from redacted exports; `encode` accepts nothing else."""


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one request in one retention class, encoded for PostgreSQL."""

    class_name: str
    rows: int
    copy_bytes: bytes
    """Binary COPY tuples, without header and trailer."""
    leaves: bytes
    """SHA-256 of each row, 32 bytes each, in order of position."""
    digest: bytes
    """Part hash over version, class, batch id, count and leaves."""
    min_created_us: int
    """Microseconds since 1970 over the rows without odd times; 0 where there is none."""
    max_created_us: int
    odd_times: int
    """Rows outside the plausible range."""
    counts: tuple[tuple[int, int, str, str, int, int], ...]
    """(minute since 1970, level, kind letter, source module, rows, bytes) for log_counts."""
