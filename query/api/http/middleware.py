"""The outermost middleware: request ids, security headers, errors as problems, timing."""

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
from query.api.http.problems import problem, put_security_headers
from query.api.http.server import in_request
from query.errors import BadRequest, MethodNotAllowed, NotFound, RequestTooLarge
from query.metrics import DATABASE_SECONDS, REQUEST_SECONDS
from query.planning.explain import EXPLAINED
from storage.database.fairness import CALLER
from storage.database.read import SPENT, Spent, spent_ms

_log = logging.getLogger(__name__)

Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def request_middleware(request: web.Request, handler: Next) -> web.StreamResponse:
    """Return a response to every request, whatever fails below."""
    request[REQUEST_ID] = secrets.token_hex(8)
    begin_s = time.perf_counter()
    spent = Spent()
    SPENT.set(spent)
    EXPLAINED.set(None)
    CALLER.set("")
    with in_request(request):
        response = await _handled(request, handler)
    if not response.prepared:
        times = spent_ms() | {"total": (time.perf_counter() - begin_s) * 1000}
        timing = [f"{stage};dur={taken_ms:.2f}" for stage, taken_ms in times.items()]
        response.headers["Server-Timing"] = ", ".join(timing)
        compress(request, response)
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "none"
    DATABASE_SECONDS.labels(route).observe(spent.seconds)
    REQUEST_SECONDS.labels(route, str(response.status)).observe(time.perf_counter() - begin_s)
    return response


async def _handled(request: web.Request, handler: Next) -> web.StreamResponse:
    try:
        return await handler(request)
    except OpslogError as error:
        _note(request[REQUEST_ID], error)
        return problem(error, request[REQUEST_ID])
    except web.HTTPException as error:
        response = problem(_translated(error), request[REQUEST_ID])
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except (asyncio.CancelledError, ConnectionResetError):
        raise  # the client has disconnected
    except Exception:  # noqa: BLE001 - internals of a defect must not leak
        _log.exception("request %s failed", request[REQUEST_ID])
        return problem(OpslogError(), request[REQUEST_ID])


def _note(request_id: str, error: OpslogError) -> None:
    """Log server errors: a defect with its traceback, others with their cause."""
    if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("request %s: %s", request_id, error.code, exc_info=error)
    elif error.status > HTTPStatus.INTERNAL_SERVER_ERROR:
        cause = type(error.__cause__).__name__ if error.__cause__ else "no cause"
        _log.warning("request %s: %s (%s)", request_id, error.code, cause)


def _translated(error: web.HTTPException) -> OpslogError:
    if isinstance(error, web.HTTPNotFound):
        return NotFound("There is nothing at this address")
    if isinstance(error, web.HTTPMethodNotAllowed):
        return MethodNotAllowed(f"Allowed methods: {', '.join(sorted(error.allowed_methods))}")
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return RequestTooLarge("This API accepts small bodies only")
    return BadRequest("Malformed request")


async def put_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Signal handler, called before the headers of any response are sent."""
    put_security_headers(response, request.get(REQUEST_ID, ""))
