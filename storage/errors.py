"""Errors of the storage layer."""

from config.errors import BadInput, SetupError, Unavailable


class SpoolFull(Unavailable):
    """The spool has reached its limit or its disk is nearly full; the request was not stored."""

    code = "spool_full"
    title = "The spool is full"

    def __init__(self, *, used_bytes: int, limit_bytes: int, free_bytes: int) -> None:
        super().__init__(
            f"spool holds {used_bytes} of {limit_bytes} bytes, its disk has {free_bytes} free"
        )


class SpoolFailed(Unavailable):
    """A write or sync on the spool's disk failed; the request was not stored."""

    code = "spool_failed"
    title = "A write to the spool's disk failed"


class SpoolSlow(Unavailable):
    """The disk does not respond; a retry of the request is stored once (duplicate_window_s)."""

    code = "spool_slow"
    title = "The spool's disk does not respond"

    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"the spool's disk has not responded for {timeout_s:g} s; retry")


class SpoolNotReady(Unavailable):
    """The spool has no number yet: the database assigns one at the first start."""

    code = "spool_not_ready"
    title = "The spool is waiting for its first connection to the database"


class SpoolBusy(SetupError):
    """Another process uses this spool."""

    code = "spool_busy"
    title = "The spool is in use by another process"
    exit_code = 75


class DatabaseUnavailable(Unavailable):
    """PostgreSQL cannot be reached or does not accept writes."""

    code = "database_unavailable"
    title = "The database cannot be reached"


class SchemaNewer(SetupError):
    """The database was migrated by a newer opslog than this one."""

    code = "schema_newer"
    title = "The database is newer than this opslog"


class SchemaEdited(SetupError):
    """An applied migration differs from the file that this opslog ships."""

    code = "schema_edited"
    title = "A migration was changed after it had been applied"


class SchemaBehind(SetupError):
    """The database lacks migrations."""

    code = "schema_behind"
    title = "The database has not been migrated"


class MigrationFailed(SetupError):
    """A migration failed; it was rolled back where possible."""

    code = "migration_failed"
    title = "A migration failed"


class DatabaseUnsupported(SetupError):
    """The version or configuration of this PostgreSQL is not supported."""

    code = "database_unsupported"
    title = "The database is not supported"


class EvidenceKeyWrong(SetupError):
    """The key file that signs the ledger is missing, or does not match the ledger."""

    code = "evidence_key_wrong"
    title = "The ledger cannot be signed"


class LedgerBehind(SetupError):
    """The ledger is shorter than a published head: an older database was restored."""

    code = "ledger_behind"
    title = "The ledger is older than the last published head"


class NoDeadLetter(BadInput):
    """There is no dead letter with this number."""

    code = "no_dead_letter"
    title = "There is no such dead letter"
    status = 404
    grpc_code = 5

    def __init__(self, number: int) -> None:
        super().__init__(f"there is no dead letter {number}", where="id")


class AuditIdTaken(BadInput):
    """An audit record with this id is stored with other content; the request was rejected."""

    code = "audit_id_taken"
    title = "The id of an audit record is already in use"
    status = 409
    grpc_code = 6

    def __init__(self, record_id: str, *, where: str) -> None:
        shown = record_id if len(record_id) <= 100 else record_id[:100] + "…"
        super().__init__(f"audit.record.id {shown!r} is stored with other content", where=where)
