"""Private keys in armour: whole, escaped, on one line, or cut off at either end.

RFC 7468 (PEM), RFC 4880 section 6.2 (PGP), the format of ssh.com ("---- BEGIN SSH2"), and PuTTY's
own. What is public in the same armour (certificates, public keys) stays.
"""

import re
from collections.abc import Iterator
from typing import Final

from storage.redaction.shapes import Span

_BREAK: Final = (
    rb"""(?:\s|\\++[nrt]|%0[aAdD]|%20|&\#1[03];|\\*+["'],?\s*+(?:\+|\.|\\)?\s*+\\*+["'])"""
)
_BEGIN: Final = re.compile(
    rb"-{4,5}[ +]?BEGIN[ +](?:[A-Z0-9]{1,12}[ +]){0,3}?(?:PRIVATE[ +]KEY(?:[ +]BLOCK)?|SSH2 ENCRYPTED PRIVATE KEY)[ +]?-{4,5}"
)
_END: Final = re.compile(
    rb"-{4,5}[ +]?END[ +](?:[A-Z0-9]{1,12}[ +]){0,3}?PRIVATE[ +]KEY(?:[ +]BLOCK)?[ +]?-{4,5}"
)
_BODY: Final = re.compile(
    rb"(?x)(?:"
    + _BREAK
    + rb"""*+(?:
      (?:Proc-Type|DEK-Info|Version|Comment|Hash|Charset|Subject|X-[\w-]{1,32}):[^\n\\]{0,200}+
    | [A-Za-z0-9+/=_]{16,}+(?!\\*["']\s*:)
    | [A-Za-z0-9+/=_]{1,64}+(?="""
    + _BREAK
    + rb"*+(?:-{4,5}|\Z)) ))*+"
)
_HEAD: Final = re.compile(
    rb"(?x)(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+/]{16,}+={0,2}" + _BREAK + rb"++)*+"
    rb"(?:[A-Za-z0-9+/]++={0,2}" + _BREAK + rb"*+)?"
    rb"-{4,5}[ ]?END[ ](?:[A-Z0-9]{1,12}[ ]){0,3}?PRIVATE[ ]KEY(?:[ ]BLOCK)?[ ]?-{4,5}"
)
_PUTTY: Final = re.compile(
    rb"(?x)Private-Lines:[ ]?\d{1,4} (?:"
    + _BREAK
    + rb"++ | [A-Za-z0-9+/=]{16,}+ | Private-(?:MAC|Hash):[ ]?[0-9a-fA-F]*+ | [A-Za-z0-9+/=]++(?="
    + _BREAK
    + rb"*+(?:Private-|\Z)))*+"
)


def private_keys(raw: bytes) -> Iterator[Span]:
    """Spans of private keys, left to right."""
    position = 0
    for begin in _BEGIN.finditer(raw):
        if begin.start() < position:
            continue
        end = _END.search(raw, begin.end())
        following = _BEGIN.search(raw, begin.end(), end.start() if end else begin.end())
        if end is not None and following is None:
            position = end.end()
        else:
            body = _BODY.match(raw, begin.end())
            assert body is not None
            position = body.end()
        yield begin.start(), position
    for match in _PUTTY.finditer(raw):
        yield match.span()
    for match in _HEAD.finditer(raw):
        yield match.span()
