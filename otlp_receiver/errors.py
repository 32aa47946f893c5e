"""Errors of the receiver. The status of each determines whether senders retry.

opentelemetry-proto, docs/specification.md, "OTLP/HTTP Response": senders retry on 429, 502, 503 and
504 only and drop the batch on every other error. So transient errors are Unavailable, and only
permanent ones are BadInput.

    BadInput     BadPayload (WrongSignal), PoisonPayload, BadCompression, BadHttp, BodyTooLarge,
                 BodyTooSlow, UnsupportedContentType, UnsupportedContentEncoding, UnknownPath,
                 UnsupportedSignal, MethodNotAllowed, KeyMissing, KeyRejected, RightMissing
    Unavailable  RateLimited, ReceiverBusy, ReceiverStopping, KeysUnknown, IngestFailed
"""

from config.errors import BadInput, Unavailable


class BadPayload(BadInput):
    """The body does not match its Content-Type; `where` is the field path."""

    code = "bad_payload"
    title = "Invalid OTLP payload"


class WrongSignal(BadPayload):
    """The body is an export of another signal than the path's."""

    code = "wrong_signal"
    title = "Export of another signal"

    def __init__(self, signal: str) -> None:
        """`signal`: the name of the body's signal, as in its path."""
        advice = _PATHS.get(signal, f"opslog accepts logs and traces; remove its {signal} exporter")
        super().__init__(f"the body is an export of {signal}: {advice}", where="path")


_PATHS = {"logs": "send it to /v1/logs", "traces": "send it to /v1/traces"}


class PoisonPayload(BadInput):
    """The same body has repeatedly caused an internal error."""

    code = "poison_payload"
    title = "Payload fails repeatedly"


class BadCompression(BadInput):
    """The body does not match its Content-Encoding, or is truncated."""

    code = "bad_compression"
    title = "Cannot decompress the body"


class BadHttp(BadInput):
    """The request is not valid HTTP/1.1."""

    code = "bad_http"
    title = "Invalid HTTP request"


class BodyTooLarge(BadInput):
    """The body exceeds otlp.max_body_bytes, before or after decompression."""

    code = "body_too_large"
    title = "Request body too large"
    status = 413

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            f"the body is larger than {limit_bytes} bytes after decompression; send smaller"
            " batches, or raise otlp.max_body_bytes"
        )


class BodyTooSlow(BadInput):
    """The body timed out (otlp.body_timeout_s, otlp.min_body_bytes_per_s)."""

    code = "body_too_slow"
    title = "Request body timeout"
    status = 408
    grpc_code = 4


class UnsupportedContentType(BadInput):
    """Neither application/x-protobuf nor application/json."""

    code = "unsupported_content_type"
    title = "Unsupported content type"
    status = 415


class UnsupportedContentEncoding(BadInput):
    """The compression is not supported; the response lists the supported ones."""

    code = "unsupported_content_encoding"
    title = "Unsupported content encoding"
    status = 415


class UnknownPath(BadInput):
    """The path is not an OTLP endpoint."""

    code = "unknown_path"
    title = "Unknown OTLP path"
    status = 404
    grpc_code = 5


class UnsupportedSignal(BadInput):
    """An OpenTelemetry signal that opslog does not store: metrics, profiles."""

    code = "unsupported_signal"
    title = "Unsupported signal"
    status = 404
    grpc_code = 12


class MethodNotAllowed(BadInput):
    """Exports require POST."""

    code = "method_not_allowed"
    title = "Method not allowed"
    status = 405
    grpc_code = 12


class KeyMissing(BadInput):
    """The receiver requires an ingest key and the request has none."""

    code = "key_missing"
    title = "Ingest key required"
    status = 401
    grpc_code = 16


class KeyRejected(BadInput):
    """The key is unknown, revoked or expired; the response does not distinguish these."""

    code = "key_rejected"
    title = "Invalid ingest key"
    status = 401
    grpc_code = 16


class RightMissing(BadInput):
    """The key is valid but has no permission for this signal."""

    code = "right_missing"
    title = "Ingest key lacks the permission for this signal"
    status = 403
    grpc_code = 7


class RateLimited(Unavailable):
    """The key has exceeded its records or bytes per second."""

    code = "rate_limited"
    title = "Rate limit exceeded"
    status = 429
    grpc_code = 8

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.wait_s = retry_after_s
        """Seconds until the bucket has tokens again, 1 to 3."""


class ReceiverBusy(Unavailable):
    """Requests in flight exceed otlp.max_inflight_bytes, or the queue for decoding is too long."""

    code = "receiver_busy"
    title = "Receiver busy"


class ReceiverStopping(Unavailable):
    """The process is shutting down; another process or the next one accepts the retry."""

    code = "receiver_stopping"
    title = "Receiver shutting down"


class KeysUnknown(Unavailable):
    """The database is unavailable and there is no snapshot of the keys yet."""

    code = "keys_unknown"
    title = "Ingest keys not loaded yet"


class IngestFailed(Unavailable):
    """An unexpected error; with 500 senders would drop the batch."""

    code = "ingest_failed"
    title = "Internal error while processing the export"


def trace_of(error: BaseException) -> str:
    """Type and stack of an error, innermost frame first, without its message.

    Messages of unexpected errors may quote their operands, which may be secrets.
    """
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return f"{type(error).__name__} at {' < '.join(reversed(frames))}"
