"""Batch ids: unique over all spools without a database query, and in order of arrival.

    63 bits: milliseconds since 1970 (41) | spool number modulo 2048 (11) | counter (11)

Two spools share a number only after 2048 others were created, and would also have to be active in
the same millisecond. Ids never decrease when the clock does: `after` is the highest id in the
spool's files, and the process remembers the last millisecond.
"""

import time

_SPOOL_BITS = 11
_COUNTER_BITS = 11
_COUNTERS = 1 << _COUNTER_BITS
ID_BITS = _SPOOL_BITS + _COUNTER_BITS
"""Bits below the milliseconds."""


class BatchIds:
    """Generates the batch ids of one spool."""

    def __init__(self, spool_id: int, after: int = 0) -> None:
        self._spool = (spool_id % (1 << _SPOOL_BITS)) << _COUNTER_BITS
        self._ms = after >> (_SPOOL_BITS + _COUNTER_BITS)
        self._counter = _COUNTERS - 1 if after else -1

    def next(self, unix_ns: int | None = None) -> int:
        """The next id; `unix_ns` is the time of arrival (default: now)."""
        now_ms = (time.time_ns() if unix_ns is None else unix_ns) // 1_000_000
        if now_ms > self._ms:
            self._ms, self._counter = now_ms, 0
        else:
            self._counter += 1
            if self._counter == _COUNTERS:
                self._ms, self._counter = self._ms + 1, 0
        return (self._ms << (_SPOOL_BITS + _COUNTER_BITS)) | self._spool | self._counter
