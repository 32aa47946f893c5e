"""Browsers that may send telemetry: a closed list of origins, never with cookies.

Fetch standard, "CORS protocol". Errors carry the headers too: a browser hides an answer without
them, and the SDK takes that for a network failure and sends again.
"""

import re
from collections.abc import Mapping, Sequence

_MAX_AGE_S = 7200
"""Chromium keeps a preflight no longer."""
_ALWAYS_ALLOWED = ("authorization", "content-encoding", "content-type", "traceparent", "tracestate")
_TOKEN = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,64}")
_MAX_REQUESTED = 32


class Cors:
    """The origins that are allowed, and the headers for each answer to them."""

    def __init__(self, origins: Sequence[str]) -> None:
        # An opaque origin ("null") is everybody's, and "*" is nobody's name.
        self._origins = frozenset(origin.rstrip("/") for origin in origins) - {"null", "*", ""}

    @property
    def is_on(self) -> bool:
        """Whether any origin is allowed."""
        return bool(self._origins)

    def headers(self, origin: str | None) -> Mapping[str, str]:
        """For an answer to this Origin header; nothing to an origin that is not on the list."""
        if origin is None or origin not in self._origins:
            return {}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": "Retry-After",
            "Vary": "Origin",
        }

    def preflight(self, origin: str | None, requested_headers: str) -> Mapping[str, str]:
        """For the answer to a preflight; names that the browser requested for are allowed."""
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
