"""Armoured private keys: complete, escaped, on one line, or truncated at either end.

RFC 7468 (PEM), RFC 4880 section 6.2 (PGP), the format of ssh.com ("---- BEGIN SSH2"), and PuTTY's
own. Public contents in the same armour (certificates, public keys) stay.
"""

import re
from collections.abc import Iterator
from typing import Final

from storage.redaction.recognition.shapes import Shape, Span

_BREAK: Final = (
    rb"""(?:\s|\\++[nrt]|%0[aAdD]|%20|&\#1[03];|\\*+["'],?\s*+(?:\+|\.|\\)?\s*+\\*+["'])"""
)
_KIND: Final = (
    r"(?:(?:[A-Z0-9]{1,12}[ +]){0,3}PRIVATE[ +]KEY(?:[ +]BLOCK)?|OpenVPN[ +]Static[ +]key[ +]V1)"
)
_BEGIN: Final = Shape(rf"-{{4,5}}[ +]?BEGIN[ +]{_KIND}[ +]?-{{4,5}}")
_END: Final = Shape(rf"-{{4,5}}[ +]?END[ +]{_KIND}[ +]?-{{4,5}}")
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
# The same lines read backwards from an END whose BEGIN was truncated; the letter of an escaped line
# feed matches as base64, so a bare backslash is a break here.
_BODY_BACKWARDS: Final = re.compile(
    rb"(?:\s|\\|[\"',])*+(?:=*+[A-Za-z0-9+/]{1,63}+(?:\s|\\)++){0,2}+"
    rb"(?:=*+[A-Za-z0-9+/]{16,}+(?:\s|\\|[\"',])*+)*+"
)
_LONGEST_KEY_BYTES: Final = 32 * 1024
_PUTTY_HEAD: Final = Shape(r"Private-Lines: ?\d{1,4}")
_PUTTY_BODY: Final = re.compile(
    rb"(?x)(?:" + _BREAK + rb"*+(?: [A-Za-z0-9+/=]{16,}+ | Private-(?:MAC|Hash):[ ]?[0-9a-fA-F]*+"
    rb" | [A-Za-z0-9+/=]++(?=" + _BREAK + rb"*+(?:Private-|\Z)) ))*+"
)


def private_keys(raw: bytes) -> Iterator[Span]:
    """Spans of private keys, left to right."""
    begins = list(_BEGIN.each(raw))
    ends = list(_END.each(raw))
    closed = set()
    number = 0
    for place, (start, head) in enumerate(begins):
        following = begins[place + 1][0] if place + 1 < len(begins) else len(raw)
        while number < len(ends) and ends[number][0] < head:
            number += 1
        stop = ends[number] if number < len(ends) else (len(raw) + 1, 0)
        if stop[0] < following and stop[0] - head <= _LONGEST_KEY_BYTES:
            closed.add(number)
            yield start, stop[1]
        else:
            yield start, _end_of_body(raw, head)
    previous = 0
    for number, (start, end) in enumerate(ends):
        if number not in closed:
            before = raw[max(previous, start - _LONGEST_KEY_BYTES) : start][::-1]
            lines = _BODY_BACKWARDS.match(before)
            assert lines is not None
            yield start - len(lines.group().rstrip(b"\\\"', \t\r\n")), end
        previous = end
    for start, head in _PUTTY_HEAD.each(raw):
        body = _PUTTY_BODY.match(raw, head)
        assert body is not None
        yield start, body.end()


def _end_of_body(raw: bytes, head: int) -> int:
    body = _BODY.match(raw, head, min(len(raw), head + _LONGEST_KEY_BYTES))
    assert body is not None
    return body.end()
