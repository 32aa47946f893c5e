"""Counters by minute of arrival, ingest key and source module. Pure.

received + derived = stored + duplicate + dead + rejected, in every row.
"""

from collections.abc import Iterable, Iterator

from storage.ledger.accounting.stored_frame import StoredFrame

RECEIVED, DERIVED, STORED, DUPLICATE, DEAD, REJECTED = range(6)
COUNTERS = ("received", "derived", "stored", "duplicate", "dead", "rejected")
_MINUTE_NS = 60_000_000_000
_LOG = "l"

_Key = tuple[int, int, str, str]


def minutes_of(entries: Iterable[StoredFrame]) -> Iterator[tuple[object, ...]]:
    """One row per key, sorted: minute since 1970, key id, module, reason, six counters."""
    sums: dict[_Key, list[int]] = {}
    for entry in entries:
        _add(sums, entry)
    for key in sorted(sums):
        yield *key, *sums[key]


def _add(sums: dict[_Key, list[int]], entry: StoredFrame) -> None:
    frame = entry.frame
    minute, key_id = frame.received_unix_ns // _MINUTE_NS, frame.ingest_key_id

    def counters(module: str, reason: str = "") -> list[int]:
        # The column's limit; rows with a longer module were rejected because of it.
        return sums.setdefault((minute, key_id, module[:50], reason), [0] * len(COUNTERS))

    outcome = STORED if entry.duplicate_of is None else DUPLICATE
    received, derived = frame.received, frame.derived
    for part in frame.parts:
        for _, _, kind, module, rows, _ in part.counts:
            row = counters(module)
            row[outcome] += rows
            if entry.replayed:
                row[DEAD] -= rows
            elif frame.signal == "traces" and kind == _LOG:  # an exception event of a span
                row[DERIVED] += rows
                derived -= rows
            else:
                row[RECEIVED] += rows
                received -= rows
    for dead in entry.dead_rows:
        row = counters(dead.source_module)
        row[STORED] -= 1
        row[DEAD] += 1
    for reason, module, count in rejections(entry):
        row = counters(module, reason)
        row[RECEIVED] += count
        row[REJECTED] += count
        received -= count
    if received or derived:
        row = counters("")
        row[RECEIVED] += received
        row[DERIVED] += derived


def rejections(entry: StoredFrame) -> Iterator[tuple[str, str, int]]:
    """Reason, source module ('' where the record had none), count."""
    unnamed = dict(entry.frame.rejected)
    for reason, module, count in entry.frame.rejected_modules:
        unnamed[reason] -= count
        yield reason, module, count
    for reason, count in unnamed.items():
        if count:
            yield reason, "", count
