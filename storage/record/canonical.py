"""JSON exactly as PostgreSQL prints jsonb, so that a stored row reads back as the bytes sent.

Members by length of the UTF-8 key, then bytes; `", "` and `": "`; plain decimals; only the escapes
that jsonb emits. tests/integration/storage/test_writer.py checks it against a server. A change of
any byte here needs a new ENCODING_VERSION (columns.py), because leaf hashes cover these bytes.
"""

from base64 import b64encode
from collections.abc import Callable, Iterable
from decimal import Decimal
from math import isfinite, isnan
from typing import Any

import orjson

from storage.record.record import Attribute, Value

_dumps = orjson.dumps


def canonical(value: Value) -> bytes:
    """`value` as jsonb prints it. Strings must not contain NUL or lone surrogates.

    NaN and infinities, which JSON lacks, become the strings that OpenTelemetry's "AnyValue
    representation for non-OTLP protocols" names; bytes become base64. Nesting is bounded by the
    caller (limits.depth).

    >>> canonical({"bb": 1e3, "a": [True, -0.0, b"hi"]}).decode()
    '{"a": [true, 0.0, "aGk="], "bb": 1000.0}'
    """
    return _WRITERS[type(value)](value)


def member(key: str, value: Value) -> bytes:
    """One member of an object: `"key": value`."""
    return _dumps(key) + b": " + canonical(value)


def order_of(key: str) -> bytes:
    """Sort key of members, as in jsonb: the length of the UTF-8 key, then its bytes."""
    raw = key.encode()
    return len(raw).to_bytes(4, "big") + raw


def object_of(members: Iterable[Attribute]) -> bytes:
    """An object of encoded members; of duplicate keys the last wins, as in jsonb."""
    by_order = {item.order: item.json for item in members}
    return b"{" + b", ".join([by_order[order] for order in sorted(by_order)]) + b"}"


def text_of(value: Value) -> str:
    """`value` in readable form: a string as it is, everything else as canonical JSON.

    OpenTelemetry specification, common/README.md, "AnyValue representation for non-OTLP
    protocols"; bytes and non-finite numbers without quotes, nothing for None.

    >>> text_of(True), text_of(-42), text_of(b"hi"), text_of(float("nan")), text_of(None)
    ('true', '-42', 'aGk=', 'NaN', '')
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    text = canonical(value).decode()
    if isinstance(value, bytes) or (isinstance(value, float) and not isfinite(value)):
        return text[1:-1]
    return text


def _object(value: dict[str, Value]) -> bytes:
    ordered = sorted([(order_of(key), key) for key in value])
    return b"{" + b", ".join([member(key, value[key]) for _, key in ordered]) + b"}"


def _list(value: list[Value]) -> bytes:
    return b"[" + b", ".join([canonical(item) for item in value]) + b"]"


def _float(value: float) -> bytes:
    if not isfinite(value):
        if isnan(value):
            return b'"NaN"'
        return b'"Infinity"' if value > 0 else b'"-Infinity"'
    if value == 0:
        return b"0.0"  # numeric has no negative zero
    text = repr(value)
    if "e" in text:
        text = format(Decimal(text), "f")
        if "." not in text:
            text += ".0"  # still a double when it is read back
    return text.encode()


_WRITERS: dict[type, Callable[[Any], bytes]] = {
    str: _dumps,
    int: lambda value: b"%d" % value,
    float: _float,
    bool: lambda value: b"true" if value else b"false",
    type(None): lambda _: b"null",
    bytes: lambda value: b'"' + b64encode(value) + b'"',
    list: _list,
    dict: _object,
}
