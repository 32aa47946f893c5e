"""Errors as RFC 9457 problem documents: stable type, status, parameter, request id."""

from http import HTTPStatus

import orjson
from aiohttp import web

from config.errors import BadInput, OpslogError
from query.errors import BadQuery

CONTENT_TYPE = "application/problem+json"

_SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every response, unless its handler sets them (OWASP Secure Headers)."""


def put_security_headers(response: web.StreamResponse, request_id: str) -> None:
    """Set the headers of every response, also to malformed requests."""
    for name, value in _SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "opslog"
    response.headers["X-Request-Id"] = request_id


def problem(error: OpslogError, request_id: str) -> web.Response:
    """The response for an error. Its text is safe to show: errors contain no records or secrets."""
    document: dict[str, object] = {
        "type": f"/errors/{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": str(error) if error.status != HTTPStatus.INTERNAL_SERVER_ERROR else "",
        "requestId": request_id,
    }
    if isinstance(error, BadInput) and error.where:
        invalid: dict[str, object] = {"parameter": error.where, "detail": str(error)}
        if isinstance(error, BadQuery):
            invalid["position"] = error.position
        document["errors"] = [invalid]
    if error.retryable:
        document["retryable"] = True
    response = web.Response(
        body=orjson.dumps(document), status=error.status, content_type=CONTENT_TYPE
    )
    if error.retry_after_s:
        response.headers["Retry-After"] = str(error.retry_after_s)
    if error.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="opslog"'
    return response
