"""The text of a JSON body as Python objects: RFC 8259, with what senders get wrong forgiven.

orjson first. What it refuses and some SDKs send (lone surrogates, a BOM, invalid UTF-8) is read by
the standard library; bare NaN and whatever else is no JSON is BadPayload in both.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

import orjson

from otlp_receiver.errors import BadPayload
from otlp_receiver.json.bombs import refuse_json_bomb
from otlp_receiver.tally import REPLACEMENT

_BOM = b"\xef\xbb\xbf"
_ODD_CHARACTERS = re.compile("[\0\ud800-\udfff]")
_NUL = b"\\u0000"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A body as objects."""

    document: Any
    is_dirty: bool
    """Whether its texts may hold NULs or lone surrogates."""
    replaced: int
    """Characters replaced because the bytes were not UTF-8."""


def parse(body: bytes) -> Parsed:
    """The fast way. Raises BadPayload."""
    refuse_json_bomb(body)
    try:
        return Parsed(orjson.loads(body), _NUL in body, 0)
    except orjson.JSONDecodeError:
        pass
    text, replaced = _text_of(body)
    return Parsed(_stdlib(text, float), is_dirty=True, replaced=replaced)


def parse_exactly(body: bytes) -> Parsed:
    """With fractions as Decimal: for integers written as 9007199254740993.0."""
    text, replaced = _text_of(body)
    return Parsed(_stdlib(text, _decimal), is_dirty=True, replaced=replaced)


def _text_of(body: bytes) -> tuple[str, int]:
    body = body.removeprefix(_BOM)
    try:
        return body.decode(), 0
    except UnicodeDecodeError:
        text = body.decode(errors="replace")
        return text, text.count(REPLACEMENT) - body.count(REPLACEMENT.encode())


def _stdlib(text: str, parse_float: Callable[[str], Any]) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=parse_float)
    except RecursionError:
        raise BadPayload("the body is JSON that is nested too deep") from None
    except json.JSONDecodeError as bad:
        raise BadPayload(
            f"the body is not JSON: {bad.msg} at line {bad.lineno}, column {bad.colno}"
        ) from None
    except ValueError:  # an integer of more than 4300 digits
        raise BadPayload("the body is not JSON: a number that cannot be read") from None


def _decimal(text: str) -> Decimal | float:
    try:
        return Decimal(text)
    except InvalidOperation:
        return float(text)


def _refuse(name: str) -> NoReturn:
    raise BadPayload(f"the body is not JSON: {name} is not a number there")


def scrub(document: Any) -> int:
    """Replace NULs and lone surrogates in all texts below `document`, in place; how many.

    Not recursive: whoever parsed it bounded the depth, but not for our stack.
    """
    replaced = 0
    waiting = [document]
    while waiting:
        node = waiting.pop()
        if type(node) is dict:
            for key in [key for key in node if _ODD_CHARACTERS.search(key)]:
                clean, count = _ODD_CHARACTERS.subn(REPLACEMENT, key)
                node[clean] = node.pop(key)
                replaced += count
            places: Iterable[Any] = list(node)
        else:
            places = range(len(node))
        for place in places:
            value = node[place]
            if type(value) is str:
                node[place], count = _ODD_CHARACTERS.subn(REPLACEMENT, value)
                replaced += count
            elif type(value) is dict or type(value) is list:
                waiting.append(value)
    return replaced
