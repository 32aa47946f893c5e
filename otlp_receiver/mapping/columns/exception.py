"""The exception that a record reports.

Source: semantic conventions, exceptions/exceptions-logs.md and exceptions-spans.md (both stable).
"""

from otlp_receiver.mapping.columns.texts import Places, scalar_text
from storage.record.canonical import member
from storage.record.record import Attribute

EVENT_NAME = "exception"
"""Name of a span event that reports an exception."""
FIELDS = (
    ("exception.type", "type"),
    ("exception.message", "message"),
    ("exception.stacktrace", "stacktrace"),
)
"""(attribute, name in metadata.exception), in canonical order of the names."""


def exception_text(attributes: list[Attribute], places: Places) -> str | None:
    """`type: message`, or the one that is present."""
    parts = [
        text
        for place, name in places
        if name != "stacktrace" and (text := scalar_text(attributes[place].value)) is not None
    ]
    return ": ".join(parts) or None


def exception_member(attributes: list[Attribute], places: Places) -> bytes:
    """Metadata's `"exception": {…}`."""
    members = [member(name, attributes[place].value) for place, name in places]
    return b'"exception": {' + b", ".join(members) + b"}"
