"""The API as commands ask it: address and token from options, environment, or what runs here."""

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
    """No API is known, or it does not answer."""

    code = "no_api"
    title = "The API cannot be asked"
    exit_code = 1


class ApiRefused(OpslogError):
    """The API answered with an error."""

    code = "api_refused"
    title = "The API refused the question"
    exit_code = 1

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(_said(status, problem))
        self.answered = status
        """Status of the answer."""


def _said(status: int, problem: Mapping[str, Any]) -> str:
    text = str(problem.get("detail") or problem.get("title") or f"the API answers {status}")
    fault: dict[str, Any] = next(iter(problem.get("errors", ())), {})
    if "position" in fault:
        text += f" (character {fault['position'] + 1} of the question)"
    return text


class _StayHere(HTTPRedirectHandler):
    """Follows nobody: urllib would take the token along to wherever an answer points."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """None: the redirect becomes the answer, which is then refused."""


_open = build_opener(_StayHere).open


class Api:
    """One API and who asks it."""

    def __init__(self, url: str, token: str) -> None:
        """Raises NoApi for what is no web address."""
        if not url.lower().startswith(("https://", "http://")):
            raise NoApi(f"{url} is no address of an API: write https://HOST or http://HOST:PORT")
        self.url = url.rstrip("/")
        self._token = token

    def open(
        self, path: str, pairs: Pairs = (), *, headers: Mapping[str, str] | None = None
    ) -> HTTPResponse:
        """The answer, while it comes. Raises ApiRefused, NoApi."""
        address = f"{self.url}/api/v1{path}"
        if pairs:
            address += f"?{urlencode(pairs)}"
        request = Request(  # noqa: S310 - the address is the user's own
            address, headers={"Authorization": f"Bearer {self._token}", **(headers or {})}
        )
        try:
            answer: HTTPResponse = _open(request, timeout=TIMEOUT_S)
        except HTTPError as error:
            with error:
                raise ApiRefused(error.code, _problem(error.read())) from None
        except (URLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, ssl.SSLCertVerificationError):
                reason = f"{reason}; SSL_CERT_FILE names the file of an authority of your own"
            raise NoApi(f"nobody answers at {self.url}: {reason}") from None
        return answer

    def get(self, path: str, pairs: Pairs = ()) -> Any:
        """The JSON of an answer."""
        with self.open(path, pairs) as answer:
            return json.load(answer)

    def pages(self, path: str, pairs: Pairs, most: int) -> Iterator[dict[str, Any]]:
        """Pages until there are `most` records, or no more."""
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
    """The API that was named, by a profile or else; or the opslog that runs here.

    A profile says what neither options nor environment do. Raises NoApi, BadProfile.
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
        raise NoApi("opslog does not run here; name one with --url and --token, or --profile")
    here = running.api_url if running else ""
    if url and not token and url.rstrip("/") != here.rstrip("/"):
        # A token of this installation opens it; nobody else is to be sent one unasked.
        raise NoApi(f"{url} is not the opslog that runs here: name its token with --token")
    if not token:
        # Whoever can read the installation's key may ask as they like.
        request = TokenRequest(role="SUPER_ADMIN", hours=1, subject=getpass.getuser())
        token = signed_token(found, request)
    return Api(url or here, token)
