"""Content negotiation and compression of complete responses.

Exports compress their own stream; the viewer's files are precompressed.
"""

from collections.abc import Callable

import zstandard
from aiohttp import web
from isal import isal_zlib

MIN_BYTES = 1400
"""Smaller responses fit into one packet and are not compressed."""
GZIP_BITS = 31
"""zlib's window bits for a gzip header and trailer."""
_TEXTS = frozenset({"application/json", "application/problem+json", "text/html", "text/plain"})


def gzipped(raw: bytes) -> bytes:
    """Compress in one call, favoring speed over size."""
    deflate = isal_zlib.compressobj(1, isal_zlib.DEFLATED, GZIP_BITS)
    return b"".join((deflate.compress(raw), deflate.flush()))


_ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda raw: zstandard.ZstdCompressor(level=1).compress(raw),
    "gzip": gzipped,
}
"""Content codings, preferred first."""


def accepts(request: web.BaseRequest, coding: str) -> bool:
    """Whether the client accepts a content coding (RFC 9110, 12.5.3)."""
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


def compress(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Compress a complete response with a coding that the client accepts, if it is worth it.

    GET only: responses to other methods contain new secrets, and the length of compressed text
    leaks its content (BREACH).
    """
    if (
        request.method != "GET"
        or not isinstance(response, web.Response)
        or response.content_type not in _TEXTS
        or not isinstance(response.body, bytes)
        or len(response.body) < MIN_BYTES
        or "Content-Encoding" in response.headers
    ):
        return
    response.headers["Vary"] = "Accept-Encoding"
    coding = next((name for name in _ENCODERS if accepts(request, name)), None)
    if coding is not None:
        response.body = _ENCODERS[coding](response.body)
        response.headers["Content-Encoding"] = coding
