"""Answers in the form that a client takes: which coding, and whole answers in it.

Streams (exports) code themselves piece by piece; files of the page lie there coded.
"""

from collections.abc import Callable

import zstandard
from aiohttp import web
from isal import isal_zlib

LEAST_BYTES = 1400
"""What fits into one packet is sent as it is."""
GZIP_BITS = 31
"""zlib's sign for a gzip header and trailer."""
_TEXTS = frozenset({"application/json", "application/problem+json", "text/html", "text/plain"})


def gzipped(raw: bytes) -> bytes:
    """All of it at once, quickly rather than small."""
    deflate = isal_zlib.compressobj(1, isal_zlib.DEFLATED, GZIP_BITS)
    return b"".join((deflate.compress(raw), deflate.flush()))


_CODERS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda raw: zstandard.ZstdCompressor(level=1).compress(raw),
    "gzip": gzipped,
}
"""Codings of whole answers, the better ones first."""


def takes(request: web.BaseRequest, coding: str) -> bool:
    """Whether the client takes a content coding (RFC 9110, 12.5.3)."""
    weights: dict[str, float] = {}
    for item in ",".join(request.headers.getall("Accept-Encoding", [])).split(","):
        name, _, parameters = item.partition(";")
        weights[name.strip().lower()] = _weight(parameters)
    return weights.get(coding, weights.get("*", 0.0)) > 0


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def compress(request: web.BaseRequest, answer: web.StreamResponse) -> None:
    """Put a whole answer into a coding that the client takes, where that saves something.

    Only what was asked for by GET: answers to other methods hold secrets made for the asker, and
    the length of a coded text tells of its content (BREACH).
    """
    if (
        request.method != "GET"
        or not isinstance(answer, web.Response)
        or answer.content_type not in _TEXTS
        or not isinstance(answer.body, bytes)
        or len(answer.body) < LEAST_BYTES
        or "Content-Encoding" in answer.headers
    ):
        return
    answer.headers["Vary"] = "Accept-Encoding"
    coding = next((name for name in _CODERS if takes(request, name)), None)
    if coding is not None:
        answer.body = _CODERS[coding](answer.body)
        answer.headers["Content-Encoding"] = coding
