"""Reject requests with a session cookie that another site may have caused (CSRF).

In addition to SameSite=Strict. Browsers say where a request comes from: `Sec-Fetch-Site` (Fetch
Metadata, to https and localhost only), else `Origin`. The header of writes needs a CORS preflight,
which is never granted. Downloads are plain links.
"""

from aiohttp import web
from yarl import URL

from query.api.http.call import ClientAddresses
from query.errors import Forbidden

VIEWER_HEADER = "X-Opslog-Viewer"
_SAFE = frozenset({"GET", "HEAD"})
_OWN = frozenset({"same-origin", "none"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


class SameSite:
    """Knows the addresses under which browsers reach the API."""

    def __init__(self, public_url: str, addresses: ClientAddresses) -> None:
        """`public_url`: the setting api.public_url; may be empty."""
        self._public = str(URL(public_url).origin()) if public_url else ""
        self._addresses = addresses

    def check(self, request: web.Request) -> None:
        """Raise Forbidden for a request of another site."""
        fetched_from = request.headers.get("Sec-Fetch-Site")
        origin = request.headers.get("Origin")
        if fetched_from is not None:
            # The browser compared the addresses that it sees, whatever a proxy makes of them.
            if fetched_from not in _OWN:
                raise Forbidden("Cross-site requests are not allowed")
        elif origin is not None and not self._is_own(origin, request):
            raise Forbidden(
                "Cross-site requests are not allowed. Behind a proxy, set api.public_url to the"
                " address in the browser"
            )
        if request.method not in _SAFE and VIEWER_HEADER not in request.headers:
            raise Forbidden(f"The header {VIEWER_HEADER} is required")

    def _is_own(self, origin: str, request: web.Request) -> bool:
        """Whether this is the API's origin: by its settings, or by the host of the request."""
        if self._public and origin == self._public:
            return True
        try:
            sent = URL(origin)
            host = _authority(sent.scheme, sent.raw_authority)
        except ValueError:
            return False
        hosts = self._addresses.hosts(request)
        return bool(host) and host in {_authority(sent.scheme, own) for own in hosts}


def _authority(scheme: str, authority: str) -> str:
    """Host and port in lower case, without the scheme's default port. Raises ValueError."""
    url = URL(f"{scheme or 'http'}://{authority}")
    port = url.port or _DEFAULT_PORTS.get(scheme)
    host = (url.host or "").lower()
    return host if not host or port == _DEFAULT_PORTS.get(scheme) else f"{host}:{port}"
