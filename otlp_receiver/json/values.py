"""Values of the protobuf JSON mapping, with OTLP/JSON's exceptions.

Sources: protobuf.dev, "ProtoJSON Format"; opentelemetry-proto, docs/specification.md, "JSON
Protobuf Encoding". null is the default of every field. The readers of scalars raise WrongValue;
`any_value` and `key_value` never do: they keep what they cannot read as text, and note its path.
"""

import re
from base64 import b64decode
from binascii import Error as NotBase64
from decimal import Decimal, InvalidOperation
from math import isinf
from typing import TypeGuard

from otlp_receiver.json.text import compact
from otlp_receiver.tally import MAX_NODES, TOO_DEEP, Tally
from storage.record.record import Value

UINT32, UINT64 = 2**32, 2**64
_INT32, _INT64 = 2**31, 2**63
_EXACT = 2**53
"""From here on a float does not identify an integer exactly."""
_MAX_DIGITS = 40

_INTEGER = re.compile(r"-?[0-9]{1,40}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_HEX = re.compile(r"[0-9a-fA-F]*", re.ASCII)
_NOT_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


class WrongValue(ValueError):
    """A value of the wrong type or out of range; the message never contains it."""


class NeedsExactNumbers(Exception):
    """A float in place of an integer is too large to be exact: parse again with exact numbers."""


def text(value: object) -> str:
    """A string field."""
    if type(value) is str:
        return value
    if value is None:
        return ""
    raise WrongValue("not a string")


def integer(value: object, lowest: int, highest: int) -> int:
    """An integer field: a number or a string, also 1e3, 5.0 and "1e2"; lowest <= n < highest."""
    number = whole(value)
    if number is None or not lowest <= number < highest:
        raise WrongValue("not an integer in range")
    return number


def uint64(value: object) -> int:
    """A fixed64 field such as a time."""
    if type(value) is str and len(value) < 20 and value.isascii() and value.isdigit():
        return int(value)
    return 0 if value is None else integer(value, 0, UINT64)


def uint32(value: object) -> int:
    """A uint32 or fixed32 field such as flags."""
    return 0 if value is None else integer(value, 0, UINT32)


def enum(value: object, names: dict[str, int]) -> int:
    """An enum: its integer, or its name, which senders must not write but some do."""
    if type(value) is int and 0 <= value < 256:
        return value
    if value is None:
        return 0
    if type(value) is str and value in names:
        return names[value]
    return integer(value, -_INT32, _INT32)


def hex_id(value: object) -> bytes:
    """An id in hex, case-insensitive; base64 is not decoded."""
    if value is None:
        return b""
    if type(value) is not str or len(value) % 2 or not _HEX.fullmatch(value):
        raise WrongValue("not a hex id")
    return bytes.fromhex(value)


def whole(value: object) -> int | None:
    """The integer value of a number or a string, or None."""
    if type(value) is int:
        return value
    if type(value) is str:
        if _INTEGER.fullmatch(value):
            return int(value)
        return _whole_decimal(value) if _NUMBER.fullmatch(value) else None
    if type(value) is float:
        if not value.is_integer():
            return None
        if _EXACT <= abs(value) < UINT64:
            raise NeedsExactNumbers
        return int(value)
    return _whole_decimal(value) if type(value) is Decimal else None


def _whole_decimal(value: str | Decimal) -> int | None:
    try:
        number = Decimal(value)
    except InvalidOperation:  # an exponent out of range for Decimal
        return None
    if not number.is_finite() or number.adjusted() > _MAX_DIGITS:
        return None
    return int(number) if number == number.to_integral_value() else None


def int_value(value: object) -> Value:
    """AnyValue.int_value; a number beyond int64 becomes a double.

    JavaScript SDKs write every whole double as an intValue (1e+300). Strings beyond int64 are
    rejected.
    """
    if type(value) is int and -_INT64 <= value < _INT64:
        return value
    number = whole(value)
    if number is not None and -_INT64 <= number < _INT64:
        return number
    if _is_number(value) and not -_INT64 <= value < _INT64:
        return double_value(value)
    raise WrongValue("not a 64-bit integer")


def _is_number(value: object) -> TypeGuard[int | float | Decimal]:
    return type(value) in {int, float, Decimal}


def double_value(value: object) -> Value:
    """AnyValue.double_value: a number or a string, NaN and infinities as strings."""
    if type(value) is float:
        return value
    if type(value) is str:
        if value in _NOT_FINITE:
            return _NOT_FINITE[value]
        if not _NUMBER.fullmatch(value):
            raise WrongValue("not a number")
        value = float(value)
    if _is_number(value):
        try:
            number = float(value)
        except OverflowError:
            number = float("inf")
        if isinf(number):
            raise WrongValue("number out of range for a double")
        return number
    raise WrongValue("not a number")


def bool_value(value: object) -> Value:
    """AnyValue.bool_value."""
    if type(value) is bool:
        return value
    raise WrongValue("neither true nor false")


def string_value(value: object) -> Value:
    """AnyValue.string_value."""
    if type(value) is str:
        return value
    raise WrongValue("not a string")


def bytes_value(value: object) -> Value:
    """AnyValue.bytes_value: base64, standard or URL-safe, padded or not."""
    if type(value) is not str:
        raise WrongValue("not base64")
    digits = value.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except (NotBase64, ValueError):
        raise WrongValue("not base64") from None


def any_value(value: object, tally: Tally, depth: int = 0) -> Value:
    """An AnyValue object; of several members, the last known one that is not null.

    null is the default of every member, so it is ignored: JavaScript SDKs write NaN as
    `doubleValue: null`. The smallest unreadable part is replaced by its text, with a note.
    """
    if value is None:
        return None
    if type(value) is not dict:
        tally.note("", "not an object")
        return None if value == [] else compact(value)
    result: Value = None
    for member, content in value.items():
        scalar = SCALARS.get(member)
        if scalar is not None:
            if content is not None:
                try:
                    result = scalar(content)
                except WrongValue as wrong:
                    tally.note(member, str(wrong))
                    result = compact(content)
        elif member in _CONTAINERS and content is not None:
            before = len(tally.notes)
            result = _container(_CONTAINERS[member], content, tally, depth + 1)
            if len(tally.notes) > before:
                tally.place(before, member)
        elif member in _STRINDEXES:
            tally.strindex()
    return _untyped(value, tally) if result is None and value else result


def _untyped(value: dict[str, object], tally: Tally) -> Value:
    """An object without a value: null, or what was sent if no member of it is known."""
    if not _MEMBERS.isdisjoint(value):
        return None
    tally.note("", "no known type")
    return compact(value)


def _container(inner: str, content: object, tally: Tally, depth: int) -> Value:
    if depth > tally.max_depth:
        tally.cut("too_deep")
        return TOO_DEEP
    if depth == 1:
        tally.nodes = MAX_NODES
    items: object = None
    if type(content) is dict:
        items = content.get("values")
    else:
        tally.note("", "not an object")
        if content != []:
            return compact(content)
    if items is None:
        items = []
    if type(items) is not list:
        tally.note("values", "not a list")
        if items != {}:
            return compact(items)
        items = []
    tally.nodes -= len(items)
    if tally.nodes < 0:
        tally.cut("too_many_elements")
        items = items[: tally.nodes]
    if inner == "list":
        return [_element(place, item, tally, depth) for place, item in enumerate(items)]
    pairs = [_pair(place, item, tally, depth) for place, item in enumerate(items)]
    return dict([pair for pair in pairs if pair is not None])


def _element(place: int, item: object, tally: Tally, depth: int) -> Value:
    before = len(tally.notes)
    value = any_value(item, tally, depth)
    if len(tally.notes) > before:
        tally.place(before, f"values[{place}]")
    return value


def _pair(place: int, item: object, tally: Tally, depth: int) -> tuple[str, Value] | None:
    before = len(tally.notes)
    pair = key_value(item, tally, depth)
    if len(tally.notes) > before:
        tally.place(before, f"values[{place}]")
    return pair


def key_value(item: object, tally: Tally, depth: int = 0) -> tuple[str, Value] | None:
    """A KeyValue object; None if it is none, then the note has what was sent."""
    if type(item) is not dict:
        tally.note("", "not an object", compact(item))
        return None
    if "keyStrindex" in item or "key_strindex" in item:
        tally.strindex()
    key = item.get("key")
    if type(key) is not str:
        if key is not None:
            tally.note("key", "not a string")
        key = "" if key is None else compact(key)
    before = len(tally.notes)
    value = any_value(item.get("value"), tally, depth)
    if len(tally.notes) > before:
        tally.place(before, "value")
    return key, value


SCALARS = {
    name: reader
    for names, reader in (
        (("stringValue", "string_value"), string_value),
        (("boolValue", "bool_value"), bool_value),
        (("intValue", "int_value"), int_value),
        (("doubleValue", "double_value"), double_value),
        (("bytesValue", "bytes_value"), bytes_value),
    )
    for name in names
}
_CONTAINERS = {
    "arrayValue": "list",
    "array_value": "list",
    "kvlistValue": "map",
    "kvlist_value": "map",
}
_STRINDEXES = frozenset({"stringValueStrindex", "string_value_strindex"})
_MEMBERS = frozenset({*SCALARS, *_CONTAINERS, *_STRINDEXES})
