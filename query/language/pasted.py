"""Text with colons that is more often pasted than a term `name:value`: one table of shapes. Pure.

Only used where the part before the colon is no known field or attribute.
"""

import re
from dataclasses import dataclass

_HEX = "[0-9A-Fa-f]"


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape; `is_certain`: it is never a term, so it is searched as text alone."""

    name: str
    pattern: re.Pattern[str]
    is_certain: bool = True


def _shape(name: str, pattern: str, *, is_certain: bool = True) -> Shape:
    return Shape(name, re.compile(pattern, re.ASCII | re.DOTALL), is_certain)


SHAPES = (
    _shape("MAC address or fingerprint", rf"{_HEX}{{2}}(?::{_HEX}{{2}}){{3,}}"),
    _shape("IPv6 address", rf"\[?{_HEX}{{0,4}}(?::{_HEX}{{0,4}}){{3,7}}(?:%\w+)?(?:[\]/].*)?"),
    _shape("path of Windows", r"[A-Za-z]:[\\/].*"),
    _shape(
        "time of day",
        r"(?:\S*[T@])?\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?[\],;]?",
    ),
    _shape("C++, Rust or Ruby name", r"[^:]*::.*"),
    _shape("URL", r"[A-Za-z][A-Za-z0-9+.-]*://.*"),
    _shape("address and port", r"\d{1,3}(?:\.\d{1,3}){3}:\d.*"),
    _shape("URN, ARN or UUID with a scheme", r"(?:urn|arn|mailto|tel|data|sha\d+|md5):.+"),
    _shape("file and line", r"[^:]*\.[A-Za-z]{1,4}:\d+(?::\d+)?:?", is_certain=False),
    _shape("host and port", r"[A-Za-z0-9.-]+:\d{1,5}(?:[/?,;:].*)?", is_certain=False),
    _shape("several colons", r"[^:]+:[^:]*:.*", is_certain=False),
    _shape("image and tag, or a path", r"[^:]*/[^:]*:.+", is_certain=False),
)
"""The first that fits decides. Those that are not certain are searched as text and as a term."""


def shape_of(text: str) -> Shape | None:
    """The shape of a bare word with a colon; None if it is a term.

    >>> shape_of("00:1a:2b:3c:4d:5e").name
    'MAC address or fingerprint'
    >>> shape_of("order.id:A-17") is None
    True
    """
    return next((shape for shape in SHAPES if shape.pattern.fullmatch(text)), None)
