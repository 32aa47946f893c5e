"""Locate the error in an invalid protobuf body, which protobuf's own error does not. Not hot."""

from typing import Any

from otlp_receiver.protobuf.wire import LENGTH, Malformed, fields

_MAX_LEVELS = 8
_UNKNOWN = "cannot be decoded"


def locate_error(descriptor: Any, body: bytes) -> tuple[str, str]:
    """(field path, message) of the first error; ("", …) if none is found."""
    path: list[str] = []
    what = _walk(descriptor, body, path, _MAX_LEVELS)
    return ".".join(path), what or _UNKNOWN


def _walk(descriptor: Any, raw: bytes, path: list[str], levels: int) -> str:
    """The error in `raw`, with `path` pointing at it; "" and the path unchanged if none."""
    counts: dict[str, int] = {}
    try:
        for number, wire_type, content in fields(raw):
            field = descriptor.fields_by_number.get(number)
            if field is None or wire_type != LENGTH or not isinstance(content, bytes):
                continue
            place = counts.get(field.name, 0)
            counts[field.name] = place + 1
            if field.message_type is None or not levels:
                continue
            path.append(f"{field.name}[{place}]" if field.is_repeated else field.name)
            what = _walk(field.message_type, content, path, levels - 1)
            if what:
                return what
            path.pop()
    except Malformed as bad:
        return str(bad)
    return ""
