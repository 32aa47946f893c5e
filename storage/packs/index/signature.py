"""The contents of a block's signature: grams of its texts, and tokens of its exact values.

Lookups (search/candidates.py) compute places with the same functions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from storage.packs.index.folding import LEAST_WORD, blob_of
from storage.packs.index.grams import UNIVERSE, gram_places, token_places
from storage.packs.index.tokens import Scalars, hashes, numbered_words, seed_of
from storage.packs.parquet.encode import Array
from storage.packs.scalars import BOOLEAN, INTEGER, STRING
from storage.packs.schema import Plan, Promoted

TOKEN_BITS: dict[str, int] = {
    **dict.fromkeys(("trace_id", "correlation_id", "actor_id", "resource_id", "id_exact"), 9),
    **dict.fromkeys(("span_id", "parent_span_id", "ip_address"), 6),
    **dict.fromkeys(("stream_id", "action", "resource_type", "source_module"), 5),
    **dict.fromkeys(("level", "kind"), 4),
}
"""Columns with exact tokens, and the number of bits of a token."""
PATH_BITS = 7
"""Bits of a token for a (path, scalar) of metadata."""
WORD_BITS = 4
"""Bits of a token for a whole word with a digit."""
WORDS = b"\x01words"
ID_COLUMNS = ("trace_id", "correlation_id")
"""Columns whose values are also in the filters of the class (bloom.py)."""

Getter = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Parts:
    """Places of a signature by origin, for measurements."""

    places: dict[str, Array]
    ids: list[int]
    """Hashes of the distinct ids of ID_COLUMNS."""

    def together(self) -> Array:
        """The distinct places, sorted."""
        table = np.zeros(UNIVERSE, np.bool_)
        for places in self.places.values():
            table[places] = True
        return np.flatnonzero(table).astype(np.uint32)


def column_path(name: str) -> bytes:
    """The path of a column in a token."""
    return b"\x03" + name.encode()


def key_path(top: str, key: str) -> bytes:
    """The path of a metadata key in a token."""
    return top.encode() + b"\x1f" + key.encode()


def token_values(values: set[Any]) -> list[bytes]:
    """A column's values as bytes."""
    return [value if isinstance(value, bytes) else b"%d" % value for value in values]


def signature(get: Getter, plan: Plan) -> Parts:
    """The signature of a block; `get` returns a column by name."""
    scalars = Scalars()
    for rest in get("metadata_rest").distinct():
        if len(rest) > 2:
            scalars.add(_document(rest))
    texts: set[bytes] = set(get("message").distinct())
    places: dict[str, Array] = {}
    ids: list[int] = []
    for item in plan.promoted:
        if item.spec is None:
            continue
        values = get(item.name).distinct()
        values.discard(None)
        if item.kind == STRING:
            texts |= values
        tokens = promoted_tokens(item, values)
        places[item.name] = token_places(
            hashes(seed_of(key_path(item.top, item.key)), tokens), PATH_BITS
        )
    for name, bits in TOKEN_BITS.items():
        values = get(name).distinct()
        values.discard(None)
        found = hashes(seed_of(column_path(name)), token_values(values))
        places[name] = token_places(found, bits)
        if name in ID_COLUMNS:
            ids += found
    places["rest"] = token_places(sorted(scalars.tokens), PATH_BITS)
    blob = blob_of(texts | scalars.texts)
    places["grams 3"], places["grams 5"] = gram_places(blob)
    places["words"] = token_places(
        hashes(seed_of(WORDS), numbered_words(blob, LEAST_WORD)), WORD_BITS
    )
    return Parts(places, ids)


def promoted_tokens(item: Promoted, values: set[Any]) -> list[bytes]:
    """The token values of a promoted key; fractions have none."""
    if item.kind == STRING:
        return list(values)
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
