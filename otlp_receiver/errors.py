"""Why an export is not answered with 200. The status of each is what a sender does next.

opentelemetry-proto, docs/specification.md, "OTLP/HTTP Response": senders try again on 429, 502,
503 and 504 only and drop the batch on every other error. So what may pass by itself is
Unavailable, and only what will be as wrong the next time is BadInput.

    BadInput     BadPayload, PoisonPayload, BadCompression, BadHttp, BodyTooLarge, BodyTooSlow,
                 UnsupportedContentType, UnsupportedContentEncoding, UnknownPath,
                 UnsupportedSignal, MethodNotAllowed, KeyMissing, KeyRejected, RightMissing
    Unavailable  RateLimited, ReceiverBusy, ReceiverStopping, KeysUnknown, IngestFailed
"""

from config.errors import BadInput, Unavailable


class BadPayload(BadInput):
    """The body is not what its Content-Type says; `where` is the field path."""

    code = "bad_payload"
    title = "The body is not a valid export"


class PoisonPayload(BadInput):
    """The same body has met an internal error again and again, and would the next time."""

    code = "poison_payload"
    title = "The body cannot be processed"


class BadCompression(BadInput):
    """The body is not what its Content-Encoding says, or is cut off."""

    code = "bad_compression"
    title = "The body cannot be decompressed"


class BadHttp(BadInput):
    """The request is not valid HTTP/1.1."""

    code = "bad_http"
    title = "The request is not valid HTTP"


class BodyTooLarge(BadInput):
    """The body is over otlp.max_body_bytes, before or after decompression."""

    code = "body_too_large"
    title = "The body is larger than the receiver takes"
    status = 413

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            f"the body is larger than {limit_bytes} bytes after decompression; send smaller"
            " batches, or raise otlp.max_body_bytes"
        )


class BodyTooSlow(BadInput):
    """The body did not come in time (otlp.body_timeout_s, otlp.min_body_bytes_per_s)."""

    code = "body_too_slow"
    title = "The body did not come in time"
    status = 408
    grpc_code = 4


class UnsupportedContentType(BadInput):
    """Neither application/x-protobuf nor application/json."""

    code = "unsupported_content_type"
    title = "The content type is not supported"
    status = 415


class UnsupportedContentEncoding(BadInput):
    """A compression that the receiver does not know; the answer lists those it knows."""

    code = "unsupported_content_encoding"
    title = "The content encoding is not supported"
    status = 415


class UnknownPath(BadInput):
    """Nothing is received at this path."""

    code = "unknown_path"
    title = "No telemetry is received at this path"
    status = 404
    grpc_code = 5


class UnsupportedSignal(BadInput):
    """A signal of OpenTelemetry that is not stored here: metrics, profiles."""

    code = "unsupported_signal"
    title = "This signal is not received"
    status = 404
    grpc_code = 12


class MethodNotAllowed(BadInput):
    """Exports are sent by POST."""

    code = "method_not_allowed"
    title = "The method is not allowed"
    status = 405
    grpc_code = 12


class KeyMissing(BadInput):
    """The receiver asks for an ingest key and none was shown."""

    code = "key_missing"
    title = "An ingest key is required"
    status = 401
    grpc_code = 16


class KeyRejected(BadInput):
    """The key shown is not in force: unknown, revoked or expired, which is not told apart."""

    code = "key_rejected"
    title = "The ingest key is not valid"
    status = 401
    grpc_code = 16


class RightMissing(BadInput):
    """The key is in force and may not send this signal."""

    code = "right_missing"
    title = "The ingest key may not send this signal"
    status = 403
    grpc_code = 7


class RateLimited(Unavailable):
    """The key has used up its records or bytes per second."""

    code = "rate_limited"
    title = "The ingest key has reached its rate"
    status = 429
    grpc_code = 8

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.wait_s = retry_after_s
        """Until the bucket has something again, 1 to 3."""


class ReceiverBusy(Unavailable):
    """The requests being read fill otlp.max_inflight_bytes."""

    code = "receiver_busy"
    title = "The receiver has no memory left for this request"


class ReceiverStopping(Unavailable):
    """The process is about to end; another or the next one takes the request."""

    code = "receiver_stopping"
    title = "The receiver is stopping"


class KeysUnknown(Unavailable):
    """The database is away and there is no snapshot of the keys yet."""

    code = "keys_unknown"
    title = "Ingest keys cannot be checked yet"


class IngestFailed(Unavailable):
    """Something unforeseen; 500 would make senders throw the batch away."""

    code = "ingest_failed"
    title = "The export met an internal error"


def trace_of(error: BaseException) -> str:
    """Class and places of an error, innermost first, without its message.

    Messages of unforeseen errors quote their operands, and these are the senders' secrets.
    """
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return f"{type(error).__name__} at {' < '.join(reversed(places))}"
