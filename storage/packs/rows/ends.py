"""Finds the ends of keys and values in canonical JSON. Compiled by mypyc; hot loops."""

from mypy_extensions import i64


def key_end(text: bytes, at: i64) -> i64:
    """The end of the quoted key at `at`; -1 if there is none, or it has escapes."""
    size: i64 = len(text)
    if at >= size or text[at] != 34:
        return -1
    end: i64 = at + 1
    while end < size:
        letter: i64 = i64(text[end])
        if letter == 34:
            if end + 3 < size and text[end + 1] == 58 and text[end + 2] == 32:
                return end + 1
            return -1
        if letter == 92:
            return -1
        end += 1
    return -1


def follows(before: bytes, key: bytes) -> bool:
    """Whether `key` comes after `before` in jsonb's order (both quoted)."""
    if len(before) != len(key):
        return len(before) < len(key)
    return before < key


def value_end(text: bytes, at: i64, escapes: bool) -> i64:
    """The end of the value at `at`; -1 if it is not terminated."""
    size: i64 = len(text)
    if at >= size:
        return -1
    first: i64 = i64(text[at])
    if first == 34:
        return string_end(text, at, escapes)
    if first != 123 and first != 91:
        while at < size:
            letter: i64 = i64(text[at])
            if letter == 44 or letter == 125 or letter == 93:
                return at
            at += 1
        return -1
    depth: i64 = 0
    while at < size:
        letter = i64(text[at])
        if letter == 34:
            at = string_end(text, at, escapes)
            if at < 0:
                return -1
            continue
        if letter == 123 or letter == 91:
            depth += 1
        elif letter == 125 or letter == 93:
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return -1


def string_end(text: bytes, at: i64, escapes: bool) -> i64:
    """The end of the string at `at`, after its closing quote; -1 if it is not terminated."""
    size: i64 = len(text)
    at += 1
    if size - at > 256:
        # find() uses memchr, which is faster for long strings.
        stop: i64 = at + 64
        while at < stop:
            letter: i64 = i64(text[at])
            if letter == 34:
                return at + 1
            at += 2 if letter == 92 else 1
        if not escapes:
            found: i64 = text.find(b'"', at)
            return found + 1 if found >= 0 else -1
    while at < size:
        letter = i64(text[at])
        if letter == 34:
            return at + 1
        at += 2 if letter == 92 else 1
    return -1
