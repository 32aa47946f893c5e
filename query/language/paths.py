"""Where a dotted name may lead: through maps and lists of attributes, body, span, exception. Pure.

`order.address.city` is the attribute of this name, or `city` in the map `order.address`, and so on.
"""

from collections.abc import Iterator

TOPS = frozenset({"body", "span", "exception", "otel", "redaction", "audit"})
"""Parts of a record's metadata whose name begins the name of what is in them."""
SCOPE = "scope"
MAX_SPLIT = 6
"""Names of up to so many parts are split in all ways; longer ones at one or two places, or all."""
_FIXED: tuple[tuple[str, ...], ...] = (
    ("span", "events", "attributes"),
    ("span", "links", "attributes"),
    ("span", "events"),
    ("span", "links"),
    ("span", "status"),
)
"""Keys that the mapping writes, and so are no parts of names."""

EXCEPTION_PATHS: tuple[tuple[str, ...], ...] = tuple(
    (*place, name)
    for place, names in (
        (("exception",), ("type", "message", "stacktrace")),
        (("attributes",), ("exception.type", "exception.message", "exception.stacktrace")),
        (
            ("span", "events", "attributes"),
            ("exception.type", "exception.message", "exception.stacktrace"),
        ),
    )
    for name in names
)
"""Where an exception is: its type, message and stack trace."""


def splits(name: str) -> tuple[tuple[str, ...], ...]:
    """The keys that a dotted name may stand for, the whole name first.

    >>> splits("a.b.c")
    (('a.b.c',), ('a', 'b.c'), ('a.b', 'c'), ('a', 'b', 'c'))
    """
    parts = tuple(name.split("."))
    last = len(parts) - 1
    if last < MAX_SPLIT:
        masks = sorted(range(1 << last), key=lambda mask: (mask.bit_count(), mask))
    else:
        few = [1 << one | 1 << other for one in range(last) for other in range(one, last)]
        masks = [0, *sorted(few, key=lambda mask: (mask.bit_count(), mask)), (1 << last) - 1]
    return tuple(tuple(_keys(parts, mask)) for mask in masks)


def _keys(parts: tuple[str, ...], mask: int) -> Iterator[str]:
    """Parts joined by dots, except where the mask has a bit."""
    key = parts[0]
    for place, part in enumerate(parts[1:]):
        if mask >> place & 1:
            yield key
            key = part
        else:
            key += f".{part}"
    yield key


def record_paths(name: str) -> tuple[tuple[str, ...], ...]:
    """Where a name may be in a record's metadata, other than as a plain attribute."""
    found = [("attributes", *keys) for keys in splits(name)]
    top, _, rest = name.partition(".")
    if top in TOPS:
        fixed = next((keys for keys in _FIXED if name.startswith(".".join((*keys, "")))), (top,))
        rest = name.removeprefix(".".join(fixed)).removeprefix(".")
        found += [(*fixed, *keys) for keys in splits(rest)] if rest else [fixed]
    return tuple(found)


def stream_paths(name: str) -> tuple[tuple[str, ...], ...]:
    """Where a name may be in a record's resource or scope, other than as a plain attribute."""
    found = [("resource", *keys) for keys in splits(name)]
    top, _, rest = name.partition(".")
    if top == SCOPE and rest:
        found += [(SCOPE, *keys) for keys in splits(rest)]
        found += [(SCOPE, "attributes", *keys) for keys in splits(rest)]
    return tuple(found)
