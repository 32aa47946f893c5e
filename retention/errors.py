"""Errors of retention."""

from config.errors import BadInput, OpslogError


class NoSuchHold(BadInput):
    """There is no hold with this number, or it was already released."""

    code = "no_such_hold"
    title = "No such hold"
    status = 404


class NothingSelected(BadInput):
    """A purge or a hold needs a filter that excludes some records."""

    code = "filter_required"
    title = "A filter is required"


class PurgeTokenInvalid(BadInput):
    """The token belongs to another filter, was already used, or is older than ten minutes."""

    code = "purge_token_invalid"
    title = "Invalid confirmation token"
    status = 409


class PackUnreadable(OpslogError):
    """Records that a purge may concern are in a pack that is missing or damaged."""

    code = "pack_unreadable"
    title = "A pack cannot be read"
    status = 503


class RetentionBusy(OpslogError):
    """Another retention job is running; try again when it has finished."""

    code = "retention_busy"
    title = "Retention is busy"
    status = 503
    retryable = True
    retry_after_s = 3
    exit_code = 75
