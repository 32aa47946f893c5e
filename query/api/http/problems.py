"""Errors as RFC 9457 problem documents: stable type, status, the parameter, the request's id."""

from http import HTTPStatus

import orjson
from aiohttp import web

from config.errors import BadInput, OpslogError
from query.errors import BadQuery

CONTENT_TYPE = "application/problem+json"

_SAFE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every answer, unless its handler says otherwise (OWASP Secure Headers)."""


def make_safe(answer: web.StreamResponse, request_id: str) -> None:
    """Headers that every answer has, also to what was no request."""
    for name, value in _SAFE_HEADERS.items():
        answer.headers.setdefault(name, value)
    answer.headers["Server"] = "opslog"
    answer.headers["X-Request-Id"] = request_id


def problem(error: OpslogError, request_id: str) -> web.Response:
    """The answer for an error. What it says is safe to show: errors carry no record, no secret."""
    document: dict[str, object] = {
        "type": f"/errors/{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": str(error) if error.status != HTTPStatus.INTERNAL_SERVER_ERROR else "",
        "requestId": request_id,
    }
    if isinstance(error, BadInput) and error.where:
        fault: dict[str, object] = {"parameter": error.where, "detail": str(error)}
        if isinstance(error, BadQuery):
            fault["position"] = error.position
        document["errors"] = [fault]
    if error.retryable:
        document["retryable"] = True
    answer = web.Response(
        body=orjson.dumps(document), status=error.status, content_type=CONTENT_TYPE
    )
    if error.retry_after_s:
        answer.headers["Retry-After"] = str(error.retry_after_s)
    if error.status == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="opslog"'
    return answer
