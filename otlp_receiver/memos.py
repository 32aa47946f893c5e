"""Caches of the codec between requests, its only state. Bounded in entries and in bytes.

Attributes, heads, resources and span names repeat: decoding, redacting and writing each distinct
one only once provides most of the codec's speed.
"""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from otlp_receiver.export import Head, HeadKey, RawText, Stream
from storage.record.record import Attribute, Hit

if TYPE_CHECKING:
    from otlp_receiver.mapping.attribute_shapes import Shape
    from otlp_receiver.mapping.streams import StreamFacts

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MAX_KEY_BYTES = 4096
"""Attributes longer than this are not cached: they rarely repeat."""

MAX_STREAM_KEY_BYTES = 65_536
"""The same for resource and scope together."""

_ENTRY_BYTES = 400
"""Overhead of an entry besides its texts: dict slot, key and value objects."""


class Memo(Generic[K, V]):
    """A bounded dictionary of two generations: entries used since one eviction survive the next.

    `young` is never replaced by another object, so a hot loop may keep its bound `get`; on a miss
    it calls `older`, which searches the older generation.
    """

    __slots__ = ("_bytes", "_max_bytes", "_max_entries", "_old", "young")

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self.young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        # Half for each generation.
        self._max_entries = max_entries // 2
        self._max_bytes = max_bytes // 2
        self._bytes = 0

    def find(self, key: K) -> V | None:
        """The cached value, or None; a hit in the older generation moves to the younger."""
        value = self.young.get(key)
        return self.older(key) if value is None else value

    def older(self, key: K) -> V | None:
        """The same for a key that is not in the younger generation."""
        value = self._old.pop(key, None)
        if value is not None:
            self.young[key] = value
        return value

    def add(self, key: K, value: V, size_bytes: int) -> None:
        """Add an entry; `size_bytes` is the size of the texts in key and value."""
        if len(self.young) >= self._max_entries or self._bytes >= self._max_bytes:
            self._old = self.young.copy()
            self.young.clear()
            self._bytes = 0
        self.young[key] = value
        self._bytes += size_bytes + _ENTRY_BYTES

    def __len__(self) -> int:
        return len(self.young) + len(self._old)


CleanText: TypeAlias = "tuple[str, tuple[Hit, ...], int]"
"""A redacted short text, its redactions, and the number of replaced characters."""

MIB = 2**20


class Memos:
    """All memos of one codec."""

    __slots__ = ("attributes", "facts", "heads", "marked", "shapes", "streams", "texts")

    def __init__(self) -> None:
        self.attributes: Memo[Hashable, Attribute] = Memo(16_384, 24 * MIB)
        """By their wire bytes, or (key, member, content, type) from JSON; without hits."""
        self.marked: Memo[Hashable, Attribute] = Memo(8_192, 8 * MIB)
        """The same for attributes with redactions: each use must be counted."""
        self.heads: Memo[HeadKey, Head] = Memo(8_192, 8 * MIB)
        self.streams: Memo[Hashable, Stream] = Memo(8_192, 16 * MIB)
        self.texts: Memo[RawText, CleanText] = Memo(16_384, 8 * MIB)
        """Span names, event names, statuses, schema URLs."""
        self.shapes: Memo[tuple[str, ...], Shape] = Memo(8_192, 16 * MIB)
        self.facts: Memo[tuple[Stream, int], StreamFacts] = Memo(8_192, 8 * MIB)
