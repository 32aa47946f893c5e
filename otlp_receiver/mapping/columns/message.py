"""message: the human-readable text.

Sources: logs/data-model.md, Body and EventName; opentelemetry-specification, common/README.md,
"AnyValue representation for non-OTLP protocols".
"""

from otlp_receiver.mapping.columns.exception import exception_text
from otlp_receiver.mapping.columns.texts import Places, scalar_text
from storage.record.canonical import text_of
from storage.record.record import Attribute, Value

BODY_KEYS = ("message", "msg", "log", "event")
"""Keys of the text in the body of loggers that send a map."""

_STATUSES = ("UNSET", "OK", "ERROR")
_MAX_PAIRS = 8
_MAX_VALUE_CHARACTERS = 64


def message_without_text(
    body: Value, event_name: str, attributes: list[Attribute], exception: Places
) -> tuple[str, str]:
    """(message, source) of a log record whose body is not a text.

    The text in a map; a scalar or list as text; without a body the exception, then the event; last
    the map as JSON.
    """
    if isinstance(body, dict):
        for key in BODY_KEYS:
            text = body.get(key)
            if isinstance(text, str) and text:
                return text, f"body.{key}"
    elif body is not None and body != "":
        return text_of(body), "body"
    if exception:
        text = exception_text(attributes, exception)
        if text is not None:
            return text, "exception"
    if event_name:
        return " ".join([event_name, *_short_pairs(attributes)]), "event_name"
    return (text_of(body), "body") if isinstance(body, dict) else ("", "nothing")


def _short_pairs(attributes: list[Attribute]) -> list[str]:
    short = []
    for attribute in attributes:
        text = scalar_text(attribute.value)
        if text is not None and len(text) <= _MAX_VALUE_CHARACTERS:
            short.append(f"{attribute.key}={text}")
    return short[:_MAX_PAIRS]


def message_of_span(name: str, status_code: int, duration_ns: int | None) -> str:
    """`name STATUS 12.3 ms`.

    >>> message_of_span("GET /", 2, 12_345_678), message_of_span("", 9, None)
    ('GET / ERROR 12.3 ms', 'unknown UNSET')
    """
    status = _STATUSES[status_code] if 0 <= status_code < len(_STATUSES) else _STATUSES[0]
    text = f"{name or 'unknown'} {status}"
    return text if duration_ns is None else f"{text} {duration_ns / 1e6:.1f} ms"
