"""The family of errors: each knows its stable code, its HTTP status, and whether to try again.

    OpslogError
        BadInput          the sender must change the request
        Unavailable       the same request may pass later
        SetupError        an operator must change something; the process does not start

Rooms add their own in <room>/errors.py; docs/reference/errors.md lists every code (a test checks).
"""

from typing import ClassVar


class OpslogError(Exception):
    """Something that opslog can say in words; never carries a record's content or a secret."""

    code: ClassVar[str] = "internal"
    """Stable name, part of the API: `type` of a problem document is `/errors/<code>`."""
    title: ClassVar[str] = "Something went wrong inside opslog"
    status: ClassVar[int] = 500
    grpc_code: ClassVar[int] = 13
    """google.rpc.Code for OTLP answers."""
    retryable: ClassVar[bool] = False
    retry_after_s: ClassVar[int] = 0
    """1 to 3 where retryable: SDKs drop a batch when told to wait longer than their timeout."""
    exit_code: ClassVar[int] = 1
    """What a command line that ends with this error returns (sysexits.h where one fits)."""


class BadInput(OpslogError):
    """The request cannot be understood or is not allowed; sending it again changes nothing."""

    code = "bad_input"
    title = "The request is not valid"
    status = 400
    grpc_code = 3

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(message)
        self.where = where
        """The parameter or field path that is at fault, for `errors[]` and BadRequest details."""


class Unavailable(OpslogError):
    """Nothing was kept; the same request may be sent again."""

    code = "unavailable"
    title = "opslog cannot take this request now"
    status = 503
    grpc_code = 14
    retryable = True
    retry_after_s = 2


class SetupError(OpslogError):
    """The process cannot start or go on as it is set up; the message says what to change."""

    code = "setup"
    title = "opslog is not set up correctly"
    exit_code = 78
