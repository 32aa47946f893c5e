"""JSON responses, with an ETag where the result cannot change any more."""

import hashlib
from collections.abc import Iterable, Mapping

import orjson
from aiohttp import web

from query.api.http.call import Call
from query.planning.explain import EXPLAINED
from storage.database.read import spent_ms


def json_response(
    document: Mapping[str, object] | Iterable[object], status: int = 200
) -> web.Response:
    """A response with this document as JSON."""
    return json_bytes_response(orjson.dumps(document), status)


def json_bytes_response(body: bytes, status: int = 200) -> web.Response:
    """A response with a body that is JSON already."""
    return web.Response(body=body, status=status, content_type="application/json")


def conditional_response(
    call: Call, body: bytes, cursor: str | None = None, *, is_closed: bool = False
) -> web.Response:
    """The JSON response to a query; with an ETag where the time range `is_closed`.

    `body` is an object that is not empty; the explanation of the request is added, if it wants one.
    """
    explain = EXPLAINED.get()
    if explain is not None:
        times = {"requestMs": spent_ms()}
        body = b'%s,"explain":%s}' % (body[:-1], orjson.dumps(explain.shown() | times))
        is_closed = False
    response = json_bytes_response(body)
    if cursor is not None:
        following = call.request.rel_url.update_query(cursor=cursor)
        response.headers["Link"] = f'<{following}>; rel="next"'
    if is_closed:
        tag = hashlib.sha256(body).hexdigest()[:32]
        if any(seen.value in {tag, "*"} for seen in call.request.if_none_match or ()):
            response = web.Response(status=304)
        response.headers["ETag"] = f'W/"{tag}"'
        response.headers["Cache-Control"] = "private, no-cache"
    return response
