"""Errors of the room that decides what goes."""

from config.errors import BadInput, OpslogError


class NoSuchHold(BadInput):
    """There is no hold of this number, or it was released already."""

    code = "no_such_hold"
    title = "There is no such hold"
    status = 404


class NothingSelected(BadInput):
    """A purge or a hold needs a filter that leaves something out."""

    code = "filter_required"
    title = "A filter is required"


class PurgeTokenInvalid(BadInput):
    """The token is not one of a purge of this filter, was used, or is older than ten minutes."""

    code = "purge_token_invalid"
    title = "The confirmation token does not hold"
    status = 409


class RetentionBusy(OpslogError):
    """Another job of retention is at work; try again when it has ended."""

    code = "retention_busy"
    title = "Retention is at work"
    status = 503
    retryable = True
    retry_after_s = 3
    exit_code = 75
