"""The contents of a block's signature: grams of its texts, and tokens of its exact values.

Lookups (search/candidates.py) compute places with the same functions.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from storage.packs.index.folding import LEAST_WORD, blob_of
from storage.packs.index.grams import distinct, gram_places, token_places
from storage.packs.index.tokens import Scalars, hashes, numbered_words, seed_of
from storage.packs.parquet.encode import Array
from storage.packs.scalars import BOOLEAN, INTEGER, STRING
from storage.packs.schema import Plan, Promoted

TOKEN_BITS: dict[str, int] = {
    **dict.fromkeys(("trace_id", "correlation_id", "actor_id", "resource_id", "id_exact"), 8),
    "ip_address": 5,
    **dict.fromkeys(("span_id", "parent_span_id"), 4),
    **dict.fromkeys(("stream_id", "action", "resource_type", "source_module"), 5),
    **dict.fromkeys(("level", "kind"), 4),
}
"""Columns with exact tokens, and the number of bits of a token."""
NUMBERED = {"stream_id"}
"""Those of numbers."""
PATH_BITS = 7
"""Bits of a token for a (path, scalar) of metadata."""
WORD_BITS = 3
"""Bits of a token for a whole word with a digit."""
WORDS = b"\x01words"
ID_COLUMNS = ("trace_id", "correlation_id")
"""Columns whose values are also in the filters of the class (bloom.py)."""

Getter = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Parts:
    """The contents of a block's signature by origin."""

    grams: dict[str, Array]
    """Distinct places of the 3-grams and of the 5-grams."""
    tokens: dict[str, tuple[list[int], int]]
    """(hashes, bits of each)."""
    ids: list[int]
    """Hashes of the ids of ID_COLUMNS."""

    def together(self) -> Array:
        """The distinct places, sorted."""
        by_bits: dict[int, list[int]] = defaultdict(list)
        for found, bits in self.tokens.values():
            by_bits[bits] += found
        places = [token_places(found, bits) for bits, found in by_bits.items()]
        return distinct(np.concatenate([*self.grams.values(), *places]))

    def counts(self) -> dict[str, int]:
        """Number of distinct places by origin."""
        counts = {name: len(places) for name, places in self.grams.items()}
        for name, (found, bits) in self.tokens.items():
            counts[name] = len(distinct(token_places(found, bits)))
        return counts


def column_path(name: str) -> bytes:
    """The path of a column in a token."""
    return b"\x03" + name.encode()


def key_path(top: str, key: str) -> bytes:
    """The path of a metadata key in a token."""
    return top.encode() + b"\x1f" + key.encode()


def signature(get: Getter, plan: Plan) -> Parts:
    """The signature of a block; `get` returns a column by name."""
    scalars = Scalars()
    for rest in set(get("metadata_rest").some()):
        if len(rest) > 2:
            scalars.add(_document(rest))
    texts: list[bytes] = list(get("message").some())
    tokens: dict[str, tuple[list[int], int]] = {}
    ids: list[int] = []
    for item in plan.promoted:
        if item.spec is None:
            continue
        values = get(item.name).some()
        if item.kind == STRING:
            texts += values
        seed = seed_of(key_path(item.top, item.key))
        tokens[item.name] = hashes(seed, promoted_tokens(item, values)), PATH_BITS
    for name, bits in TOKEN_BITS.items():
        values = get(name).some()
        if name in NUMBERED:
            values = [b"%d" % value for value in values]
        found = hashes(seed_of(column_path(name)), values)
        tokens[name] = found, bits
        if name in ID_COLUMNS:
            ids += found
    tokens["rest"] = list(scalars.tokens), PATH_BITS
    blob = blob_of([*texts, *scalars.texts])
    three, five = gram_places(blob)
    words = hashes(seed_of(WORDS), numbered_words(blob, LEAST_WORD))
    tokens["words"] = words, WORD_BITS
    return Parts({"grams 3": distinct(three), "grams 5": distinct(five)}, tokens, ids)


def promoted_tokens(item: Promoted, values: Iterable[Any]) -> Iterable[bytes]:
    """The token values of a promoted key; fractions have none."""
    if item.kind == STRING:
        return values
    if item.kind == INTEGER:
        return [b"%d" % value for value in values]
    if item.kind == BOOLEAN:
        return [b"true" if value else b"false" for value in values]
    return []


def _document(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        return None
