"""Detects bodies that repeatedly cause an internal error, so that senders stop retrying them."""

from collections import OrderedDict
from hashlib import sha256

MAX_FAILURES = 3
"""Failures after which a body is rejected permanently: the first may have another cause (memory, a
race), the third of the same bytes is caused by the body."""
_MAX_ENTRIES = 256


class PoisonGuard:
    """Counts failures by the hash of the body; hashes only bodies that failed."""

    def __init__(self) -> None:
        self._failures: OrderedDict[bytes, int] = OrderedDict()

    def is_poison(self, body: bytes) -> bool:
        """Count a failure of this body; return whether it has failed too often."""
        digest = sha256(body).digest()
        count = self._failures.pop(digest, 0) + 1
        self._failures[digest] = count
        if len(self._failures) > _MAX_ENTRIES:
            self._failures.popitem(last=False)
        return count >= MAX_FAILURES
