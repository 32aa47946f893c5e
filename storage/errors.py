"""Errors of the room that keeps records."""

from config.errors import BadInput, SetupError, Unavailable


class SpoolFull(Unavailable):
    """The spool has reached its limit or its disk is nearly full; nothing of this was kept."""

    code = "spool_full"
    title = "The spool has no room left"

    def __init__(self, *, used_bytes: int, limit_bytes: int, free_bytes: int) -> None:
        super().__init__(
            f"spool holds {used_bytes} of {limit_bytes} bytes, its disk has {free_bytes} free"
        )


class SpoolFailed(Unavailable):
    """The disk refused to write or to sync; nothing of this request was kept."""

    code = "spool_failed"
    title = "The spool's disk refused a write"


class SpoolSlow(Unavailable):
    """The disk does not answer; sent again, the request is stored once (duplicate_window_s)."""

    code = "spool_slow"
    title = "The spool's disk does not answer"

    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"the spool's disk has not answered for {timeout_s:g} s; send again")


class SpoolNotReady(Unavailable):
    """The spool has no number yet: it gets one from the database at its very first start."""

    code = "spool_not_ready"
    title = "The spool waits for its first contact with the database"


class SpoolBusy(SetupError):
    """Another process works with this spool."""

    code = "spool_busy"
    title = "The spool belongs to another process"
    exit_code = 75


class DatabaseAway(Unavailable):
    """PostgreSQL cannot be reached or does not take what it is given."""

    code = "database_away"
    title = "The database cannot be reached"


class SchemaNewer(SetupError):
    """The database was migrated by a newer opslog than this one."""

    code = "schema_newer"
    title = "The database is newer than this opslog"


class SchemaEdited(SetupError):
    """A migration that the database has is not the one that this opslog ships."""

    code = "schema_edited"
    title = "A migration was changed after it had been applied"


class SchemaBehind(SetupError):
    """Migrations are missing from the database."""

    code = "schema_behind"
    title = "The database has not been migrated"


class MigrationFailed(SetupError):
    """A migration did not go through; what it had begun was taken back where it could be."""

    code = "migration_failed"
    title = "A migration did not go through"


class DatabaseUnfit(SetupError):
    """This PostgreSQL cannot hold opslog's records as it is set up."""

    code = "database_unfit"
    title = "The database does not fit"


class EvidenceKeyWrong(SetupError):
    """The key file that signs the ledger is missing, or is not the one that the ledger names."""

    code = "evidence_key_wrong"
    title = "The ledger cannot be signed"


class LedgerBehind(SetupError):
    """The ledger is shorter than a head that was published: an older database was restored."""

    code = "ledger_behind"
    title = "The ledger is older than what was published"


class NoDeadLetter(BadInput):
    """There is no dead letter with this number."""

    code = "no_dead_letter"
    title = "There is no such dead letter"
    status = 404
    grpc_code = 5

    def __init__(self, number: int) -> None:
        super().__init__(f"there is no dead letter {number}", where="id")


class AuditIdTaken(BadInput):
    """An audit record with this id is stored with other content; nothing of the request was."""

    code = "audit_id_taken"
    title = "The id of an audit record is taken"
    status = 409
    grpc_code = 6

    def __init__(self, record_id: str, *, where: str) -> None:
        shown = record_id if len(record_id) <= 100 else record_id[:100] + "…"
        super().__init__(f"audit.record.id {shown!r} is stored with other content", where=where)
