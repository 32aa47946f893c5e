"""Values of the protobuf JSON mapping, with OTLP/JSON's exceptions.

Sources: protobuf.dev, "ProtoJSON Format"; opentelemetry-proto, docs/specification.md, "JSON
Protobuf Encoding". null is the default of every field. A value of the wrong type raises WrongValue.
"""

import re
from base64 import b64decode
from binascii import Error as NotBase64
from decimal import Decimal, InvalidOperation
from math import isinf
from typing import TypeGuard

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
    """A value of the wrong type or out of range; `where` is the path in the record."""

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__(message)
        self.where = where


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
    """An id in hex, case-insensitive; invalid hex is an empty id (base64 is not decoded)."""
    if value is None:
        return b""
    if type(value) is not str:
        raise WrongValue("not a hex id")
    if len(value) % 2 or not _HEX.fullmatch(value):
        return b""
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
    `doubleValue: null`.
    """
    if value is None:
        return None
    if type(value) is not dict:
        raise WrongValue("not an object")
    result: Value = None
    for member, content in value.items():
        scalar = SCALARS.get(member)
        try:
            if scalar is not None:
                if content is not None:
                    result = scalar(content)
            elif member in _CONTAINERS and content is not None:
                result = _container(_CONTAINERS[member], content, tally, depth + 1)
            elif member in _STRINDEXES:
                tally.strindex()
        except WrongValue as wrong:
            wrong.where = f"{member}.{wrong.where}" if wrong.where else member
            raise
    return result


def _container(inner: str, content: object, tally: Tally, depth: int) -> Value:
    if depth > tally.max_depth:
        tally.cut("too_deep")
        return TOO_DEEP
    if depth == 1:
        tally.nodes = MAX_NODES
    if type(content) is not dict:
        raise WrongValue("not an object")
    items = content.get("values")
    if items is None:
        items = []
    if type(items) is not list:
        raise WrongValue("not a list", "values")
    tally.nodes -= len(items)
    if tally.nodes < 0:
        tally.cut("too_many_elements")
        items = items[: tally.nodes]
    if inner == "list":
        return [_element(place, item, tally, depth) for place, item in enumerate(items)]
    return dict([_pair(place, item, tally, depth) for place, item in enumerate(items)])


def _element(place: int, item: object, tally: Tally, depth: int) -> Value:
    try:
        return any_value(item, tally, depth)
    except WrongValue as wrong:
        wrong.where = f"values[{place}].{wrong.where}"
        raise


def _pair(place: int, item: object, tally: Tally, depth: int) -> tuple[str, Value]:
    try:
        return key_value(item, tally, depth)
    except WrongValue as wrong:
        wrong.where = f"values[{place}].{wrong.where}"
        raise


def key_value(item: object, tally: Tally, depth: int = 0) -> tuple[str, Value]:
    """A KeyValue object."""
    if type(item) is not dict:
        raise WrongValue("not an object")
    if "keyStrindex" in item or "key_strindex" in item:
        tally.strindex()
    try:
        key = text(item.get("key"))
    except WrongValue as wrong:
        wrong.where = "key"
        raise
    try:
        return key, any_value(item.get("value"), tally, depth)
    except WrongValue as wrong:
        wrong.where = f"value.{wrong.where}"
        raise


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
