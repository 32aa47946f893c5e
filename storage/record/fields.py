"""The fields of a record that a query may use: the allowlist that maps API names to columns.

Nothing outside this table becomes an identifier in SQL. A new field: one line here, its parameter
in query/language/filter_parameters.py, its row in docs/api.md.
"""

from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from config.levels import Level


class ValueType(Enum):
    """The type of a field's values; the enum value is PostgreSQL's array type."""

    TEXT = "text[]"
    LEVEL = "log_level[]"
    KIND = '"char"[]'
    UUID = "uuid[]"
    BYTES = "bytea[]"
    INTEGER = "bigint[]"


class Kind(Enum):
    """The kinds of records; the value is the letter stored in the column."""

    LOG = b"l"
    SPAN = b"s"
    AUDIT = b"a"

    @property
    def word(self) -> str:
        """Its name in the API."""
        return self.name.lower()


KIND_WORDS: dict[str, Kind] = {kind.word: kind for kind in Kind}
KIND_OF_LETTER: dict[bytes, Kind] = {kind.value: kind for kind in Kind}

FieldValue = str | int | bytes | UUID | Level | Kind


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name in the API, its column, the type of its values."""

    name: str
    column: str
    type: ValueType
    is_nullable: bool = False
    """If the column may be NULL, "not equal" must also match records without a value."""


ID = Field("id", "id", ValueType.UUID)
KIND = Field("kind", "kind", ValueType.KIND)
LEVEL = Field("level", "level", ValueType.LEVEL)
SOURCE_MODULE = Field("sourceModule", "source_module", ValueType.TEXT)
ACTION = Field("action", "action", ValueType.TEXT)
RESOURCE_ID = Field("resourceId", "resource_id", ValueType.TEXT, is_nullable=True)
RESOURCE_TYPE = Field("resourceType", "resource_type", ValueType.TEXT, is_nullable=True)
ACTOR_ID = Field("actorId", "actor_id", ValueType.TEXT, is_nullable=True)
CORRELATION_ID = Field("correlationId", "correlation_id", ValueType.TEXT, is_nullable=True)
TRACE_ID = Field("traceId", "trace_id", ValueType.UUID, is_nullable=True)
SPAN_ID = Field("spanId", "span_id", ValueType.BYTES, is_nullable=True)
PARENT_SPAN_ID = Field("parentSpanId", "parent_span_id", ValueType.BYTES, is_nullable=True)
MESSAGE = Field("message", "message", ValueType.TEXT)
DURATION_NS = Field("durationNs", "duration_ns", ValueType.INTEGER, is_nullable=True)
STREAM_ID = Field("streamId", "stream_id", ValueType.INTEGER)

FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        *(ID, KIND, LEVEL, SOURCE_MODULE, ACTION, RESOURCE_ID, RESOURCE_TYPE, ACTOR_ID),
        *(CORRELATION_ID, TRACE_ID, SPAN_ID, PARENT_SPAN_ID, MESSAGE, DURATION_NS),
    )
}
"""Fields by their name in the API."""
