"""correlationId: links the records of one business transaction across services.

OpenTelemetry has no such convention; these are common names, the closest one of the semantic
conventions (registry/messaging) and captured request headers (of a list, the first element).
`session.id` is not included: a session lasts for hours.
"""

from otlp_receiver.mapping.columns.texts import Places, first_scalar_text
from storage.record.record import Attribute

KEYS = (
    "correlation.id",
    "correlation_id",
    "correlationId",
    "messaging.message.conversation_id",
    "request.id",
    "http.request.header.x-correlation-id",
    "http.request.header.x-request-id",
)


def correlation_of(attributes: list[Attribute], places: Places) -> tuple[str | None, str]:
    """(full correlation id, source)."""
    for place, key in places:
        value = attributes[place].value
        text = value if type(value) is str else first_scalar_text(value)
        if text:
            return text, key
    return None, ""
