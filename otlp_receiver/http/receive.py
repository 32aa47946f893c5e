"""The steps of one request.

    route     path and method            -> Route, or 404, 405
    check     Authorization              -> KeyInfo, or 401, 403     admission/keys.py
    coding    Content-Type and -Encoding -> inflater, or 415         inflate.py
    admit     rate and memory            or 429, 503, 413            admission/{quotas,budget}.py
    read      body, decompressed         or 400, 408, 413            body.py
    ingest    durable                    -> Outcome                  pipeline.py
    accepted  Outcome                    -> 200                      response_bodies.py

Every check that does not need the body is done before the body is read.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from aiohttp import web
from aiohttp.web_protocol import RequestPayloadError
from prometheus_client import Counter, Histogram

from config.errors import OpslogError
from config.settings import OtlpSettings
from otlp_receiver import metrics
from otlp_receiver.admission.budget import ByteBudget, Lease
from otlp_receiver.admission.keys import KeyInfo, KeyRing
from otlp_receiver.admission.poison_payloads import PoisonGuard
from otlp_receiver.admission.quotas import RateLimits
from otlp_receiver.errors import (
    BadHttp,
    BodyTooLarge,
    BodyTooSlow,
    IngestFailed,
    MethodNotAllowed,
    PoisonPayload,
    RightMissing,
    UnknownPath,
    UnsupportedContentType,
    UnsupportedSignal,
    trace_of,
)
from otlp_receiver.export import Encoding, Signal
from otlp_receiver.http import response_bodies as bodies
from otlp_receiver.http.body import read_body
from otlp_receiver.http.cors import Cors
from otlp_receiver.http.inflate import Inflater, inflater_of
from otlp_receiver.http.responses import empty, refusal, reply, unread
from otlp_receiver.http.server import watched

_DRAIN_BYTES = 64 * 1024
"""The body of a rejected request is drained up to this size to keep the connection usable."""
_ENCODINGS = {content_type: encoding for encoding, content_type in bodies.CONTENT_TYPES.items()}
_NO_SIGNAL = "none"
_GRPC_ADVICE = "; this is gRPC: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"

_log = logging.getLogger(__name__)


class Sink(Protocol):
    """Destination of exports."""

    async def ingest(
        self, signal: Signal, encoding: Encoding, body: bytes, key: KeyInfo
    ) -> bodies.Outcome:
        """Make the export durable. Raises BadPayload, or Unavailable if nothing was stored."""


Explain = Callable[[Signal, Encoding, bytes, KeyInfo], Awaitable[bytes]]
"""Explains the mapping of an export as JSON; nothing is stored."""


@dataclass(frozen=True, slots=True)
class Route:
    """One path; without a signal it is an OpenTelemetry path that opslog does not support."""

    signal: Signal | None
    explains: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request body."""

    signal: Signal
    encoding: Encoding
    body: bytes
    key: KeyInfo


_PRIVATE_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""An explanation contains the request's content, redacted."""

Finish = Callable[[Delivery], Awaitable[web.Response]]


class Receiver:
    """Handles all requests on the OTLP port. One per process."""

    def __init__(
        self,
        *,
        settings: OtlpSettings,
        routes: Mapping[str, Route],
        sink: Sink,
        keys: KeyRing,
        explain: Explain,
    ) -> None:
        self._settings = settings
        self._routes = routes
        self._sink = sink
        self._keys = keys
        self._explain = explain
        self._cors = Cors(settings.cors_origins)
        self._limits = RateLimits(time.monotonic)
        self._budget = ByteBudget(settings.max_inflight_bytes)
        self._poison = PoisonGuard()
        self._allow = "POST, OPTIONS" if self._cors.is_on else "POST"

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Handle a request; always returns a response."""
        began_s = time.perf_counter()
        headers = request.headers
        encoding = encoding_of(headers.get("Content-Type", ""))
        route = self._routes.get(request.path)
        if request.method == "OPTIONS" and self._cors.is_on and route is not None:
            requested = headers.get("Access-Control-Request-Headers", "")
            return empty(self._cors.preflight(headers.get("Origin"), requested))
        response: web.Response
        try:
            response = await self._deliver(request, route, encoding)
        except OpslogError as error:
            response = self._refuse(request, error, encoding or Encoding.JSON)
        except ConnectionError:
            response = unread()
        if "Origin" in headers:
            response.headers.update(self._cors.headers(headers["Origin"]))
        signal = _NO_SIGNAL if route is None or route.signal is None else route.signal.value
        took_s = time.perf_counter() - began_s
        metrics.soon(_count_request, signal, encoding, response.status, took_s)
        return response

    def update_gauges(self) -> None:
        """Update the gauges; called once a second."""
        metrics.INFLIGHT_BYTES.set(self._budget.used_bytes)

    async def _deliver(
        self, request: web.BaseRequest, route: Route | None, encoding: Encoding | None
    ) -> web.Response:
        signal = self._signal(request, route)
        headers = request.headers
        key = self._keys.check(headers.get("Authorization"))
        if signal.value not in key.rights:
            raise RightMissing(f"the ingest key may not send {signal.value}", where="Authorization")
        if encoding is None:
            raise UnsupportedContentType(
                f"the content type is not one of {', '.join(_ENCODINGS)}", where="Content-Type"
            )
        inflater = inflater_of(headers.get("Content-Encoding", ""))
        self._limits.admit(key)
        with self._budget.lease() as lease:
            body = await self._read(request, inflater, lease)
            self._limits.charge(key, size_bytes=len(body))
            delivery = Delivery(signal, encoding, body, key)
            explains = route is not None and route.explains
            return await self._finished(self._explained if explains else self._ingested, delivery)

    def _signal(self, request: web.BaseRequest, route: Route | None) -> Signal:
        if route is None:
            advice = _GRPC_ADVICE if _is_grpc(request) else ""
            raise UnknownPath(f"send telemetry to /v1/logs or /v1/traces{advice}", where="path")
        if route.signal is None:
            raise UnsupportedSignal("opslog accepts logs and traces only", where="path")
        if request.method != "POST":
            raise MethodNotAllowed("use POST", where="method")
        return route.signal

    async def _read(
        self, request: web.BaseRequest, inflater: Inflater | None, lease: Lease
    ) -> bytes:
        limit_bytes = self._settings.max_body_bytes
        announced_bytes = request.content_length or 0
        if announced_bytes > limit_bytes:
            raise BodyTooLarge(limit_bytes)
        lease.check(announced_bytes)
        content = request.content
        if content.is_eof():
            body = await read_body(content, inflater, limit_bytes=limit_bytes, lease=lease)
        else:
            _continue(request)
            try:
                async with watched(request):
                    body = await read_body(content, inflater, limit_bytes=limit_bytes, lease=lease)
            except TimeoutError as error:
                raise BodyTooSlow("timeout while reading the body") from error
            except RequestPayloadError as error:
                raise BadHttp("the body has invalid HTTP framing") from error
        metrics.soon(_count_bytes, content.total_bytes, len(body))
        return body

    async def _finished(self, finish: Finish, delivery: Delivery) -> web.Response:
        """Run `finish`; unexpected errors are logged, and the request may be retried."""
        try:
            return await finish(delivery)
        except OpslogError:
            raise
        except Exception as error:
            _log.error("%s export failed: %s", delivery.signal.value, trace_of(error))
            if self._poison.is_poison(delivery.body):
                raise PoisonPayload("this body causes an internal error every time") from error
            raise IngestFailed("internal error; nothing was stored, retry") from error

    async def _ingested(self, delivery: Delivery) -> web.Response:
        signal = delivery.signal
        outcome = await self._sink.ingest(signal, delivery.encoding, delivery.body, delivery.key)
        self._limits.charge(delivery.key, records=outcome.received)
        metrics.soon(_count_outcome, signal.value, outcome)
        return reply(delivery.encoding, bodies.accepted(signal, delivery.encoding, outcome))

    async def _explained(self, delivery: Delivery) -> web.Response:
        body = await self._explain(delivery.signal, delivery.encoding, delivery.body, delivery.key)
        response = reply(Encoding.JSON, body)
        response.headers.update(_PRIVATE_HEADERS)
        return response

    def _refuse(
        self, request: web.BaseRequest, error: OpslogError, encoding: Encoding
    ) -> web.Response:
        response = refusal(error, encoding)
        metrics.REFUSED.labels(error.code).inc()
        if isinstance(error, MethodNotAllowed):
            response.headers["Allow"] = self._allow
        if isinstance(error, BodyTooSlow | BadHttp) or _is_much_unread(request):
            response.force_close()
        return response


@lru_cache(maxsize=256)
def encoding_of(content_type: str) -> Encoding | None:
    """The encoding of a Content-Type header, case-insensitive, parameters ignored."""
    return _ENCODINGS.get(content_type.partition(";")[0].strip().lower())


def _is_grpc(request: web.BaseRequest) -> bool:
    """Whether a proxy passes gRPC on as HTTP/1.1."""
    content_type = request.headers.get("Content-Type", "").lower()
    return content_type.startswith("application/grpc")


def _continue(request: web.BaseRequest) -> None:
    """Send 100 Continue if the sender expects it (RFC 9110 section 10.1.1)."""
    expects = request.headers.get("Expect", "").lower() == "100-continue"
    transport = request.transport
    if expects and transport is not None and request.version >= (1, 1):
        transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _is_much_unread(request: web.BaseRequest) -> bool:
    """Whether draining the rest of the body would take longer than a new connection."""
    content = request.content
    if content.is_eof():
        return False
    length = request.content_length
    if length is None or "Expect" in request.headers:
        return True
    return length - content.total_bytes > _DRAIN_BYTES


def _count_request(signal: str, encoding: Encoding | None, status: int, took_s: float) -> None:
    _requests(signal, encoding, status).inc()
    _ack_seconds(signal).observe(took_s)


def _count_bytes(wire_bytes: int, body_bytes: int) -> None:
    metrics.WIRE_BYTES.inc(wire_bytes)
    metrics.BODY_BYTES.inc(body_bytes)


def _count_outcome(signal: str, outcome: bodies.Outcome) -> None:
    metrics.RECORDS.labels(signal).inc(outcome.received)
    for reason, count in outcome.rejected.items():
        metrics.REJECTED.labels(signal, reason).inc(count)
    if outcome.replaced_characters:
        metrics.REPLACED_CHARACTERS.inc(outcome.replaced_characters)


@lru_cache(maxsize=256)
def _requests(signal: str, encoding: Encoding | None, status: int) -> Counter:
    name = "none" if encoding is None else encoding.value
    return metrics.REQUESTS.labels(signal, name, str(status))


@lru_cache(maxsize=8)
def _ack_seconds(signal: str) -> Histogram:
    return metrics.ACK_SECONDS.labels(signal)
