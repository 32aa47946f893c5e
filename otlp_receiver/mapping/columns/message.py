"""message: the human-readable text.

Sources: logs/data-model.md, Body and EventName; opentelemetry-specification, common/README.md,
"AnyValue representation for non-OTLP protocols"; systemd, "Journal Export Formats"; Serilog,
"Compact log event format".
"""

import re

from otlp_receiver.mapping.columns.exception import exception_text
from otlp_receiver.mapping.columns.names import Named, named, plain
from otlp_receiver.mapping.columns.texts import Places, scalar_text
from otlp_receiver.tally import REPLACEMENT
from storage.record.canonical import text_of
from storage.record.record import Attribute, Value

BODY_NAMES = (
    "message",
    "msg",
    "@m",
    "renderedmessage",
    "@mt",
    "messagetemplate",
    "log",
    "event",
    "shortmessage",
    "fullmessage",
)
"""Members with the text in the body of loggers that send a map, by plain name (names.py), best
first: journald, pino, Serilog's compact and full JSON, Docker, structlog, GELF."""
TEMPLATES = frozenset(("@mt", "messagetemplate"))
"""Those with holes, filled from the other members (messagetemplates.org)."""
_HOLE = re.compile(r"\{\{|\}\}|\{[@$]?([A-Za-z0-9_.]{1,100})(?:,-?[0-9]{1,4})?(?::[^{}]{0,100})?\}")
_MAX_RENDERED = 100_000
"""Characters; beyond it holes stay as they are, so that repeated holes cannot exhaust memory."""

_STATUSES = ("UNSET", "OK", "ERROR")
_MAX_PAIRS = 8
_MAX_VALUE_CHARACTERS = 64


def readable(body: Value) -> Value:
    """A body with its message as text: journald writes one that is no plain text as its bytes."""
    if isinstance(body, dict):
        for key, value in body.items():
            if plain(key) == "message" and isinstance(value, list) and _are_bytes(value):
                text = bytes([int(item) for item in value]).decode(errors="replace")  # type: ignore[arg-type]
                return {**body, key: text.replace("\0", REPLACEMENT)}
    return body


def _are_bytes(items: list[Value]) -> bool:
    return bool(items) and all(type(item) is int and 0 <= item < 256 for item in items)


def rendered(body: Value) -> str | None:
    """The text of a body whose message is a template; None for any other body.

    Composed before redaction, and then redacted as a whole: `password={p}` has a secret only when
    the hole is filled.
    """
    if not isinstance(body, dict):
        return None
    members = named(body)
    for name in BODY_NAMES:
        text = _text_of(members.get(name, ("", None))[1])
        if text:
            return _filled(text, body) if name in TEMPLATES else None
    return None


def _filled(template: str, body: dict[str, Value]) -> str:
    """The template with its holes filled.

    >>> _filled("Order {Id} took {Elapsed:0.0} {{ms}} for {Who}", {"Id": 7, "Elapsed": 1.5})
    'Order 7 took 1.5 {ms} for {Who}'
    """
    left = _MAX_RENDERED

    def fill(hole: re.Match[str]) -> str:
        nonlocal left
        name = hole[1]
        if name is None:
            return hole[0][0]
        if name not in body or left <= 0:
            return hole[0]
        text = text_of(body[name])
        left -= len(text)
        return text

    return _HOLE.sub(fill, template)


def message_in_body(members: Named) -> tuple[str, str]:
    """(message, source) in the members of a body that is a map; "" if there is none."""
    for name in BODY_NAMES:
        if name in members:
            key, value = members[name]
            text = _text_of(value)
            if text:
                return text, f"body.{key}"
    return "", ""


def _text_of(value: Value) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace").replace("\0", REPLACEMENT)
    return value if isinstance(value, str) else ""


def message_without_text(
    body: Value, members: Named, event_name: str, attributes: list[Attribute], exception: Places
) -> tuple[str, str]:
    """(message, source) of a log record whose body is not a text.

    The text in a map (`members`); a scalar or list as text; without a body the exception, then the
    event; last the map as JSON.
    """
    if members:
        text, source = message_in_body(members)
        if text:
            return text, source
    elif body is not None and body != "" and not isinstance(body, dict):
        return text_of(body), "body"
    if exception:
        found = exception_text(attributes, exception)
        if found is not None:
            return found, "exception"
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
