"""Errors of the room that answers questions."""

from config.errors import BadInput, OpslogError, Unavailable


class NotFound(OpslogError):
    """There is nothing under this address, or nothing that the asker may see."""

    code = "not_found"
    title = "Nothing is here"
    status = 404
    grpc_code = 5


class MethodNotAllowed(OpslogError):
    """The address exists, but not for this method."""

    code = "method_not_allowed"
    title = "This address does not take that method"
    status = 405
    grpc_code = 12


class RequestTooLarge(OpslogError):
    """The request's body is larger than any that this API takes."""

    code = "request_too_large"
    title = "The request is too large"
    status = 413


class RequestTooSlow(OpslogError):
    """The request's body did not come in time (api.body_timeout_s)."""

    code = "request_too_slow"
    title = "The request did not come in time"
    status = 408


class BadRequest(BadInput):
    """The request is not HTTP as this API speaks it."""

    code = "bad_request"
    title = "The request cannot be understood"


class BadQuery(BadInput):
    """The text of a question cannot be understood; says at which character."""

    code = "bad_query"
    title = "The question cannot be understood"

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message, where="q")
        self.position = position
        """Characters (code points) from the start of the text."""


class Unauthorized(OpslogError):
    """No token, or one that is not believed; the reason is in opslog's own log."""

    code = "unauthorized"
    title = "A valid token is needed"
    status = 401
    grpc_code = 16


class Forbidden(OpslogError):
    """The token is valid, but its role lacks the permission."""

    code = "forbidden"
    title = "The role of this token may not do that"
    status = 403
    grpc_code = 7


class TooManyQueries(Unavailable):
    """The same asker has too many questions running."""

    code = "too_many_questions"
    title = "Too many questions at a time"
    status = 429
    grpc_code = 8
    retry_after_s = 1


class AuditNotWritten(Unavailable):
    """What cannot be accounted for is not given out (exports, purges)."""

    code = "audit_not_written"
    title = "The access cannot be recorded now, so nothing is given out"
