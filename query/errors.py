"""Errors of the query server."""

from config.errors import BadInput, OpslogError, Unavailable


class NotFound(OpslogError):
    """Nothing exists at this address, or nothing that the principal may see."""

    code = "not_found"
    title = "Not found"
    status = 404
    grpc_code = 5


class MethodNotAllowed(OpslogError):
    """The address does not support this method."""

    code = "method_not_allowed"
    title = "Method not allowed"
    status = 405
    grpc_code = 12


class RequestTooLarge(OpslogError):
    """The request body exceeds the limit of this API."""

    code = "request_too_large"
    title = "Request too large"
    status = 413


class RequestTooSlow(OpslogError):
    """The request body did not arrive in time (api.body_timeout_s)."""

    code = "request_too_slow"
    title = "Request timeout"
    status = 408


class BadRequest(BadInput):
    """The request is not valid HTTP."""

    code = "bad_request"
    title = "Malformed request"


class BadQuery(BadInput):
    """A query has a syntax error, at a position."""

    code = "bad_query"
    title = "Invalid query"

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message, where="q")
        self.position = position
        """Characters (code points) from the start of the text."""


class Unauthorized(OpslogError):
    """No token, or an invalid one; the reason is in opslog's own log."""

    code = "unauthorized"
    title = "A valid token is required"
    status = 401
    grpc_code = 16


class Forbidden(OpslogError):
    """The token is valid, but its role lacks the permission."""

    code = "forbidden"
    title = "Permission denied"
    status = 403
    grpc_code = 7


class TooManyQueries(Unavailable):
    """The token has too many queries running."""

    code = "too_many_queries"
    title = "Too many concurrent queries"
    status = 429
    grpc_code = 8
    retry_after_s = 1


class AuditNotWritten(Unavailable):
    """The access could not be recorded, so nothing is exported or changed."""

    code = "audit_not_written"
    title = "The access cannot be recorded, so the request was refused"


class SegmentsUnreadable(Unavailable):
    """An export lacks segments whose pack is missing or damaged; it has everything else."""

    code = "segments_unreadable"
    title = "Some segments could not be read"
