"""The columns of system_logs: name, type, order, meaning. Everything else is derived from it.

Order: 8-byte columns first, then 4, 2, 1, then uuid and variable-length ones, which saves 24 bytes
of padding per row. A new column: here, a migration, schema.sql, ENCODING_VERSION; old frames stay
readable.
"""

from dataclasses import dataclass

ENCODING_VERSION = 2
"""Version of the COPY rows in frames. Stored with every batch. Version 1 has a random nonce in each
row; from version 2 on it is NULL and derived (nonces.py)."""
SELF_CONTAINED = 1
"""Version of a row that has its nonce, whatever its batch has."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of system_logs."""

    name: str
    type: str
    """As PostgreSQL's format_type prints it."""
    nullable: bool
    meaning: str


COLUMNS: tuple[Column, ...] = (
    Column("created_at", "timestamp with time zone", False, "when it happened, to the microsecond"),
    Column("received_at", "timestamp with time zone", False, "when opslog had read the request"),
    Column("batch_id", "bigint", False, "the request it came with"),
    Column("stream_id", "bigint", False, "resource and scope, in log_streams"),
    Column("duration_ns", "bigint", True, "of a span: end minus start, never negative"),
    Column("position", "integer", False, "place in the request: ties in time keep their order"),
    Column("ingest_key_id", "integer", False, "the key it was sent with; 0 without one"),
    Column("tenant", "integer", False, "0; one tenant today"),
    Column("level", "log_level", False, "DEBUG, INFO, WARN, ERROR or CRITICAL"),
    Column("created_ns", "smallint", False, "nanoseconds 0-999 that created_at drops"),
    Column("severity_number", "smallint", False, "OTLP severity as sent, cut to 16 bits"),
    Column("kind", '"char"', False, "l log, s span, a audit"),
    Column("id", "uuid", False, "UUIDv7 layout, from created_at"),
    Column("trace_id", "uuid", True, "W3C trace id"),
    Column("span_id", "bytea", True, "8 bytes"),
    Column("parent_span_id", "bytea", True, "8 bytes; NULL for a root span and for logs"),
    Column("nonce", "bytea", True, "16 bytes: an erased row cannot be guessed; NULL: derived"),
    Column("ip_address", "inet", True, "the client, never the sender of the request"),
    Column("source_module", "character varying(50)", False, "service or module"),
    Column("action", "character varying(100)", False, "event name, span name, route"),
    Column("resource_type", "character varying(50)", True, "kind of thing acted on"),
    Column("resource_id", "text", True, "thing acted on"),
    Column("actor_id", "text", True, "who acted"),
    Column("correlation_id", "character varying(36)", True, "ties records of one request"),
    Column("message", "text", False, "what a person reads"),
    Column("metadata", "jsonb", False, "attributes, body, span, exception, otel, redaction, …"),
)
"""In COPY order. The table also has `segment`, which is filled by each leaf's default."""

COPY_COLUMNS: tuple[str, ...] = tuple(column.name for column in COLUMNS)
