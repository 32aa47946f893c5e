"""HTTP responses: 200 with its body, or an error with its headers."""

import random
from collections.abc import Mapping

from aiohttp import web

from config.errors import OpslogError
from otlp_receiver.errors import RateLimited, UnsupportedContentEncoding
from otlp_receiver.export import Encoding
from otlp_receiver.http import response_bodies as bodies
from otlp_receiver.http.inflate import ACCEPT_ENCODING

_SERVER = "opslog"
_RETRY_AFTER_S = (1, 3)
"""The exporters for Python and JavaScript drop a batch if Retry-After exceeds what remains of their
10 s; random, so that not all of them retry in the same second."""


def reply(encoding: Encoding, body: bytes) -> web.Response:
    """A 200 response in the request's encoding."""
    headers = {"Content-Type": bodies.CONTENT_TYPES[encoding], "Server": _SERVER}
    return web.Response(body=body, headers=headers)


def refusal(error: OpslogError, encoding: Encoding) -> web.Response:
    """An error as a google.rpc.Status, with Retry-After if it is retryable.

    500 is sent as 503: senders do not retry on 500.
    """
    status = error.status if error.status != 500 else 503
    headers = {"Content-Type": bodies.CONTENT_TYPES[encoding], "Server": _SERVER}
    if status in {429, 503}:
        headers["Retry-After"] = str(_retry_after_s(error))
    elif status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(error, UnsupportedContentEncoding):
        headers["Accept-Encoding"] = ACCEPT_ENCODING
    return web.Response(status=status, body=bodies.status(encoding, error), headers=headers)


def empty(headers: Mapping[str, str]) -> web.Response:
    """A 204 response to a preflight."""
    return web.Response(status=204, headers={**headers, "Server": _SERVER})


def unread() -> web.Response:
    """Response to a sender that has disconnected; never delivered."""
    response = web.Response(status=400)
    response.force_close()
    return response


def _retry_after_s(error: OpslogError) -> int:
    if isinstance(error, RateLimited):
        return error.wait_s
    return random.randint(*_RETRY_AFTER_S)  # noqa: S311 -- jitter, not a secret
