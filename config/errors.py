"""Base classes of all errors: each has a stable code, an HTTP status, and a retryable flag.

    OpslogError
        BadInput          the client must change the request
        Unavailable       the same request may succeed later
        SetupError        the operator must change something; the process does not start

Packages add their own in <package>/errors.py; docs/reference/errors.md lists every code (tested).
"""

from typing import ClassVar


class OpslogError(Exception):
    """An error with a message for users; never contains a record's content or a secret."""

    code: ClassVar[str] = "internal"
    """Stable name, part of the API: `type` of a problem document is `/errors/<code>`."""
    title: ClassVar[str] = "Internal error"
    status: ClassVar[int] = 500
    grpc_code: ClassVar[int] = 13
    """google.rpc.Code of OTLP responses."""
    retryable: ClassVar[bool] = False
    retry_after_s: ClassVar[int] = 0
    """1 to 3 where retryable: SDKs drop a batch if Retry-After exceeds their timeout."""
    exit_code: ClassVar[int] = 1
    """Exit code of a command that fails with this error (sysexits.h where one fits)."""


class BadInput(OpslogError):
    """The request is malformed or not allowed; retrying does not help."""

    code = "bad_input"
    title = "Invalid request"
    status = 400
    grpc_code = 3

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(message)
        self.where = where
        """The invalid parameter or field path, for `errors[]` and BadRequest details."""


class Unavailable(OpslogError):
    """Nothing was stored; the same request may be retried."""

    code = "unavailable"
    title = "Temporarily unavailable"
    status = 503
    grpc_code = 14
    retryable = True
    retry_after_s = 2


class SetupError(OpslogError):
    """The process cannot start or continue with this setup; the message says what to change."""

    code = "setup"
    title = "Invalid setup"
    exit_code = 78
