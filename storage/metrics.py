"""Prometheus metrics of spools and writers, updated once a second from their plain counters."""

from prometheus_client import Counter, Gauge

from storage.spool.state import SpoolState
from storage.writing.writer import WriterState

_SPOOL_BYTES = Gauge(
    "opslog_spool_bytes", "Bytes of spool files on disk.", multiprocess_mode="livesum"
)
_SPOOL_ROWS = Gauge(
    "opslog_spool_waiting_rows",
    "Acknowledged rows not yet in PostgreSQL.",
    multiprocess_mode="livesum",
)
_SPOOL_FRAMES = Gauge(
    "opslog_spool_waiting_requests",
    "Acknowledged requests not yet in PostgreSQL.",
    multiprocess_mode="livesum",
)
_QUARANTINED = Counter(
    "opslog_spool_quarantined_rows", "Rows in damaged frames that were quarantined."
)
_SYNCS = Counter("opslog_spool_syncs", "Groups of requests made durable by one fdatasync each.")
_ROWS = Counter("opslog_writer_rows", "Rows committed to PostgreSQL.")
_TRANSACTIONS = Counter("opslog_writer_transactions", "Transactions committed.")
_DUPLICATES = Counter(
    "opslog_writer_duplicate_rows", "Rows of duplicate requests, which are stored once."
)
_REPLAYED = Counter(
    "opslog_writer_replayed_requests", "Requests read from a spool that were already stored."
)
_DEAD = Counter("opslog_writer_dead_rows", "Rows that PostgreSQL rejected; see dead letters.")
_FLUSH_SECONDS = Gauge(
    "opslog_writer_flush_seconds", "Duration of the last transaction.", multiprocess_mode="livemax"
)
_AWAY = Gauge(
    "opslog_writer_away", "Writers that cannot write to PostgreSQL.", multiprocess_mode="livesum"
)


class StorageMetrics:
    """Exports the counters of one spool and its writer as metrics."""

    def __init__(self, spool: SpoolState, writer: WriterState) -> None:
        self._spool = spool
        self._writer = writer
        self._exported: dict[Counter, int] = {}

    def note(self) -> None:
        """Update the metrics."""
        spool, writer = self._spool, self._writer
        _SPOOL_BYTES.set(spool.used_bytes)
        _SPOOL_ROWS.set(spool.waiting_rows)
        _SPOOL_FRAMES.set(spool.waiting_frames)
        _FLUSH_SECONDS.set(writer.flush_s)
        _AWAY.set(1 if writer.away_since else 0)
        for counter, total in (
            (_QUARANTINED, spool.quarantined_rows),
            (_SYNCS, spool.groups),
            (_ROWS, writer.rows),
            (_TRANSACTIONS, writer.transactions),
            (_DUPLICATES, writer.duplicates),
            (_REPLAYED, writer.replayed),
            (_DEAD, writer.dead),
        ):
            counter.inc(total - self._exported.get(counter, 0))
            self._exported[counter] = total
