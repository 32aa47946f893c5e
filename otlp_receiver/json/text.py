"""Parse a JSON body: RFC 8259, tolerant of common mistakes of senders.

orjson first. Input that it rejects but some SDKs send (lone surrogates, a BOM, invalid UTF-8) is
parsed by the standard library; bare NaN and other invalid JSON is BadPayload.
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
from otlp_receiver.tally import REPLACEMENT, TOO_DEEP

_BOM = b"\xef\xbb\xbf"
_ODD_CHARACTERS = re.compile("[\0\ud800-\udfff]")
_NUL = b"\\u0000"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A parsed body."""

    document: Any
    is_dirty: bool
    """Whether its texts may contain NULs or lone surrogates."""
    replaced: int
    """Characters replaced because of invalid UTF-8."""


def parse(body: bytes) -> Parsed:
    """Parse fast. Raises BadPayload."""
    refuse_json_bomb(body)
    try:
        return Parsed(orjson.loads(body), _NUL in body, 0)
    except orjson.JSONDecodeError:
        pass
    text, replaced = _text_of(body)
    return Parsed(_stdlib(text, float), is_dirty=True, replaced=replaced)


def parse_exactly(body: bytes) -> Parsed:
    """Parse fractions as Decimal: for integers written as 9007199254740993.0."""
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
        raise BadPayload("the body is JSON with excessive nesting") from None
    except json.JSONDecodeError as bad:
        raise BadPayload(
            f"the body is not JSON: {bad.msg} at line {bad.lineno}, column {bad.colno}"
        ) from None
    except ValueError:  # an integer of more than 4300 digits
        raise BadPayload("the body is not JSON: number with too many digits") from None


def _decimal(text: str) -> Decimal | float:
    try:
        return Decimal(text)
    except InvalidOperation:
        return float(text)


def _refuse(name: str) -> NoReturn:
    raise BadPayload(f"the body is not JSON: {name} is not a JSON number")


def compact(sent: object) -> str:
    """What was sent in place of another value, as text: a string as it is, all else as JSON."""
    if isinstance(sent, str):
        return sent
    try:
        return orjson.dumps(sent).decode()
    except TypeError:  # integers beyond 64 bits, Decimal, more than 254 levels
        pass
    try:
        return json.dumps(sent, ensure_ascii=False, separators=(",", ":"), default=str)
    except RecursionError:
        return TOO_DEEP


def scrub(document: Any) -> int:
    """Replace NULs and lone surrogates in all texts of `document`, in place; return the count.

    Not recursive: the parser's nesting limit may exceed Python's stack.
    """
    replaced = 0
    pending = [document]
    while pending:
        node = pending.pop()
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
                pending.append(value)
    return replaced
