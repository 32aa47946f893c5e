"""HTTP client of the commands: address and token from options, environment, or local opslog."""

import getpass
import json
import ssl
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, TypeAlias
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

from config.errors import OpslogError, SetupError
from opslog.client.profiles import profile

Pairs: TypeAlias = Sequence[tuple[str, str]]
TIMEOUT_S = 60.0


class NoApi(SetupError):
    """No API address is known, or the API does not respond."""

    code = "no_api"
    title = "Cannot connect to the API"
    exit_code = 1


class ApiRefused(OpslogError):
    """The API responded with an error."""

    code = "api_refused"
    title = "The API refused the request"
    exit_code = 1

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(_message(status, problem))
        self.status_code = status
        """HTTP status of the response."""


def _message(status: int, problem: Mapping[str, Any]) -> str:
    text = str(problem.get("detail") or problem.get("title") or f"HTTP status {status}")
    fault: dict[str, Any] = next(iter(problem.get("errors", ())), {})
    if "position" in fault:
        text += f" (character {fault['position'] + 1} of the query)"
    return text


class _NoRedirects(HTTPRedirectHandler):
    """Follows no redirects: urllib would send the token to the new address."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """None: the redirect becomes an error."""


_open = build_opener(_NoRedirects).open


class Api:
    """One API, with a token."""

    def __init__(self, url: str, token: str) -> None:
        """Raises NoApi for an invalid address."""
        if not url.lower().startswith(("https://", "http://")):
            raise NoApi(f"{url} is not an API address; use https://HOST or http://HOST:PORT")
        self.url = url.rstrip("/")
        self._token = token

    def open(
        self, path: str, pairs: Pairs = (), *, headers: Mapping[str, str] | None = None
    ) -> HTTPResponse:
        """The response as a stream. Raises ApiRefused, NoApi."""
        address = f"{self.url}/api/v1{path}"
        if pairs:
            address += f"?{urlencode(pairs)}"
        request = Request(  # noqa: S310 - the address is the user's own
            address, headers={"Authorization": f"Bearer {self._token}", **(headers or {})}
        )
        try:
            response: HTTPResponse = _open(request, timeout=TIMEOUT_S)
        except HTTPError as error:
            with error:
                raise ApiRefused(error.code, _problem(error.read())) from None
        except (URLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, ssl.SSLCertVerificationError):
                reason = f"{reason}; for a private certificate authority set SSL_CERT_FILE"
            raise NoApi(f"cannot connect to {self.url}: {reason}") from None
        return response

    def get(self, path: str, pairs: Pairs = ()) -> Any:
        """The JSON of a response."""
        with self.open(path, pairs) as response:
            return json.load(response)

    def pages(self, path: str, pairs: Pairs, most: int) -> Iterator[dict[str, Any]]:
        """Pages, up to `most` records in total."""
        cursor: list[tuple[str, str]] = []
        while most > 0:
            page = self.get(path, [*pairs, ("limit", str(min(most, 1000))), *cursor])
            yield page
            most -= len(page["data"])
            if page["nextCursor"] is None:
                return
            cursor = [("cursor", page["nextCursor"])]


def _problem(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def api(url: str, token: str, config: Path | None, profile_name: str = "") -> Api:
    """The API named by options or a profile; by default the opslog that runs here.

    Options and environment override the profile. Raises NoApi, BadProfile.
    """
    if profile_name or not (url or token):
        known = profile(profile_name)
        url, token = url or known.url, token or known.token
    if url and token:
        return Api(url, token)
    from opslog.installation.opening import open_installation  # noqa: PLC0415 - not needed with both given
    from opslog.installation.tokens import TokenRequest, signed_token  # noqa: PLC0415 - as above

    found = open_installation(config)
    running = found.running()
    if not url and running is None:
        raise NoApi("opslog is not running here; use --url and --token, or --profile")
    here = running.api_url if running else ""
    if url and not token and url.rstrip("/") != here.rstrip("/"):
        # A token of this installation must not be sent to another server.
        raise NoApi(f"{url} is not the opslog running here; pass its token with --token")
    if not token:
        # Anyone who can read the installation's key has full access anyway.
        request = TokenRequest(role="SUPER_ADMIN", hours=1, subject=getpass.getuser())
        token = signed_token(found, request)
    return Api(url or here, token)
