"""Bodies that meet an internal error every time, so that senders do not repeat them for minutes."""

from collections import OrderedDict
from hashlib import sha256

CRASHES = 3
"""A body may fail so often before it is refused for good: a failure may have been ours (memory, a
race), the third of the same bytes is theirs."""
_REMEMBERED = 256


class PoisonGuard:
    """Counts failures by the hash of the body; nothing is hashed as long as nothing fails."""

    def __init__(self) -> None:
        self._failures: OrderedDict[bytes, int] = OrderedDict()

    def is_poison(self, body: bytes) -> bool:
        """Count one more failure of this body; whether it has now failed too often."""
        digest = sha256(body).digest()
        count = self._failures.pop(digest, 0) + 1
        self._failures[digest] = count
        if len(self._failures) > _REMEMBERED:
            self._failures.popitem(last=False)
        return count >= CRASHES
