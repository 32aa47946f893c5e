"""The outermost layer of the API: request ids, safe headers, errors as problems, timing."""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from config.errors import OpslogError
from query.api.http.access_control import REQUEST_ID
from query.api.http.compression import compress
from query.api.http.problems import make_safe, problem
from query.api.http.server import in_request
from query.errors import BadRequest, MethodNotAllowed, NotFound, RequestTooLarge
from query.metrics import DATABASE_SECONDS, REQUEST_SECONDS
from storage.database.read import DATABASE_TIME, Spent

_log = logging.getLogger(__name__)

Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def edge(request: web.Request, handler: Next) -> web.StreamResponse:
    """Answers every request, whatever happens below."""
    request[REQUEST_ID] = secrets.token_hex(8)
    begin_s = time.perf_counter()
    spent = Spent()
    DATABASE_TIME.set(spent)
    with in_request(request):
        answer = await _answered(request, handler)
    if not answer.prepared:
        if spent.seconds:
            answer.headers["Server-Timing"] = f"db;dur={spent.seconds * 1000:.2f}"
        compress(request, answer)
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "none"
    DATABASE_SECONDS.labels(route).observe(spent.seconds)
    REQUEST_SECONDS.labels(route, str(answer.status)).observe(time.perf_counter() - begin_s)
    return answer


async def _answered(request: web.Request, handler: Next) -> web.StreamResponse:
    try:
        return await handler(request)
    except OpslogError as error:
        _note(request[REQUEST_ID], error)
        return problem(error, request[REQUEST_ID])
    except web.HTTPException as error:
        answer = problem(_translated(error), request[REQUEST_ID])
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer
    except (asyncio.CancelledError, ConnectionResetError):
        raise  # nobody is there any more
    except Exception:  # noqa: BLE001 - the edge: a defect of ours must not show its insides
        _log.exception("request %s failed", request[REQUEST_ID])
        return problem(OpslogError(), request[REQUEST_ID])


def _note(request_id: str, error: OpslogError) -> None:
    """Into opslog's own log: a defect with all its insides, other trouble with its cause."""
    if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("request %s: %s", request_id, error.code, exc_info=error)
    elif error.status > HTTPStatus.INTERNAL_SERVER_ERROR:
        cause = type(error.__cause__).__name__ if error.__cause__ else "no cause"
        _log.warning("request %s: %s (%s)", request_id, error.code, cause)


def _translated(error: web.HTTPException) -> OpslogError:
    if isinstance(error, web.HTTPNotFound):
        return NotFound("there is nothing under this address")
    if isinstance(error, web.HTTPMethodNotAllowed):
        return MethodNotAllowed(f"this address takes {', '.join(sorted(error.allowed_methods))}")
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return RequestTooLarge("this API takes no large bodies")
    return BadRequest("the request cannot be understood")


async def put_headers(request: web.Request, answer: web.StreamResponse) -> None:
    """Signal before the headers of any answer leave, streams included."""
    make_safe(answer, request.get(REQUEST_ID, ""))
