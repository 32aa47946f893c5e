"""Restores metadata from its rest and the promoted keys. Compiled by mypyc."""

from mypy_extensions import i64

from storage.packs.rows.ends import follows, key_end, value_end


class Top:
    """Promoted keys of one top-level object, in jsonb's order, with their JSON row by row."""

    def __init__(
        self,
        key: bytes,
        keys: list[bytes],
        columns: list[list[bytes | None]],
        default: bytes = b"",
    ) -> None:
        self.key = key
        self.keys = keys
        self.columns = columns
        self.default = default
        """Its value in rows that lack it; empty: none."""


def restored(rests: list[bytes], exceptions: bytes, tops: list[Top]) -> list[bytes]:
    """The metadata of each row; bit 0 of `exceptions`: the rest is the whole metadata."""
    made: list[bytes] = []
    row: i64 = 0
    for rest in rests:
        if exceptions[row]:
            made.append(rest)
            row += 1
            continue
        top_texts: list[tuple[bytes, list[bytes], list[bytes], bytes]] = []
        for top in tops:
            keys: list[bytes] = []
            texts: list[bytes] = []
            number: i64 = 0
            for column in top.columns:
                value = column[row]
                if value is not None:
                    key = top.keys[number]
                    keys.append(key)
                    texts.append(key + b": " + value)
                number += 1
            if keys or top.default:
                top_texts.append((top.key, keys, texts, top.default))
        made.append(_merged(rest, top_texts) if top_texts else rest)
        row += 1
    return made


def _merged(rest: bytes, tops: list[tuple[bytes, list[bytes], list[bytes], bytes]]) -> bytes:
    """The rest with promoted members, and defaults of members that it lacks, in order."""
    size: i64 = len(rest)
    if size == 2:
        return b"{" + b", ".join([_object(top) for top in tops]) + b"}"
    escapes = b"\\" in rest
    out: list[bytes] = []
    waiting: i64 = 0
    count: i64 = len(tops)
    at: i64 = 1
    while at < size - 1:
        after: i64 = key_end(rest, at)
        key = rest[at:after]
        end: i64 = value_end(rest, after + 2, escapes)
        while waiting < count and follows(tops[waiting][0], key):
            out.append(_object(tops[waiting]))
            waiting += 1
        if waiting < count and tops[waiting][0] == key:
            _, keys, texts, _ = tops[waiting]
            if keys:
                out.append(key + b": " + _members(rest[after + 2 : end], keys, texts))
            else:
                out.append(rest[at:end])
            waiting += 1
        else:
            out.append(rest[at:end])
        at = end + 2
    while waiting < count:
        out.append(_object(tops[waiting]))
        waiting += 1
    return b"{" + b", ".join(out) + b"}"


def _object(top: tuple[bytes, list[bytes], list[bytes], bytes]) -> bytes:
    key, keys, texts, default = top
    if not keys:
        return key + b": " + default
    return key + b": {" + b", ".join(texts) + b"}"


def _members(kept: bytes, keys: list[bytes], texts: list[bytes]) -> bytes:
    """An object with the promoted members merged in."""
    size: i64 = len(kept)
    escapes = b"\\" in kept
    out: list[bytes] = []
    waiting: i64 = 0
    count: i64 = len(keys)
    at: i64 = 1
    while at < size - 1:
        after: i64 = key_end(kept, at)
        key = kept[at:after]
        end: i64 = value_end(kept, after + 2, escapes)
        while waiting < count and follows(keys[waiting], key):
            out.append(texts[waiting])
            waiting += 1
        out.append(kept[at:end])
        at = end + 2
    while waiting < count:
        out.append(texts[waiting])
        waiting += 1
    return b"{" + b", ".join(out) + b"}"
