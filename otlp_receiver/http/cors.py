"""CORS for browsers that send telemetry: an allowlist of origins, without credentials.

Fetch standard, "CORS protocol". Error responses include the headers too: without them the browser
hides the response, and the SDK assumes a network failure and retries.
"""

import re
from collections.abc import Mapping, Sequence

_MAX_AGE_S = 7200
"""Chromium caches a preflight no longer than this."""
_ALWAYS_ALLOWED = ("authorization", "content-encoding", "content-type", "traceparent", "tracestate")
_TOKEN = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,64}")
_MAX_REQUESTED = 32


class Cors:
    """The allowed origins, and the response headers for them."""

    def __init__(self, origins: Sequence[str]) -> None:
        # Anyone can send an opaque origin ("null"); "*" is not an origin.
        self._origins = frozenset(origin.rstrip("/") for origin in origins) - {"null", "*", ""}

    @property
    def is_on(self) -> bool:
        """Whether any origin is allowed."""
        return bool(self._origins)

    def headers(self, origin: str | None) -> Mapping[str, str]:
        """Response headers for this Origin header; empty if the origin is not allowed."""
        if origin is None or origin not in self._origins:
            return {}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": "Retry-After",
            "Vary": "Origin",
        }

    def preflight(self, origin: str | None, requested_headers: str) -> Mapping[str, str]:
        """Response headers for a preflight; allows the header names that the browser requests."""
        allowed = self.headers(origin)
        if not allowed:
            return {}
        requested = [name.strip().lower() for name in requested_headers.split(",")[:_MAX_REQUESTED]]
        names = sorted({*_ALWAYS_ALLOWED, *(name for name in requested if _TOKEN.fullmatch(name))})
        return {
            **allowed,
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": ", ".join(names),
            "Access-Control-Max-Age": str(_MAX_AGE_S),
        }
