"""The first pass: which rules may match in a text.

All triggers in one RE2 Set would be one automaton, whose states are the product of the states of
all triggers: on random ids it never stops growing, and building states takes ten times as long as
using them (12.5 against 1.8 microseconds a record of the load tool). So triggers of a kind share a
Set, and their repetition counts are bounded.

Most texts have no match, and an RE2 call from Python takes longer than scanning a short text. So
many texts are searched as one, by one pattern per kind, and only on a match does the Set determine
the triggers (2.5 against 1.3 microseconds a record of the load tool).
"""

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import re2

from storage.redaction.recognition.shapes import UNANCHORED, Span, options

_Match: TypeAlias = Callable[[bytes], list[int]]
_Find: TypeAlias = Callable[[object, bytes, int, int], list[Span]]
_Which: TypeAlias = tuple[_Match, tuple[int, ...]]
"""A Set's match function, and the numbers of its triggers."""
_Search: TypeAlias = "tuple[_Find | None, list[_Which]]"
"""A search for the next match of some kinds, and their Sets. No find: the triggers are anchored to
the beginning or end of a text, so that texts are scanned one by one."""

_NOTHING: Final[tuple[int, ...]] = ()
_ESCAPED: Final = re.compile(r"\\[^AzbB]")
_CLASS: Final = re.compile(r"\[\^?\]?[^\]]*\]")
_OR_ANYTHING_ELSE: Final = re.compile(r"\^\|\[\^[^\]]*\]|\$\|\[\^[^\]]*\]|\[\^[^\]]*\]\|\$")
"""`^|[^a-z]` and the like: the separator of texts counts like a beginning."""
_COUNTED: Final = re.compile(r"(?<!\\x)(\\d|[^x])\{(\d+)(?:,\d*)?\}")
_MOST_COUNTED: Final = 8
_LEADING_GAP: Final = re.compile(r"^(\(\?i\))?\[[^\]]+\]\*")
_LONG_LIST: Final = 600
"""Minimum length of a trigger that lists all secret words."""


def leaner(trigger: str) -> str:
    r"""A trigger that matches wherever `trigger` does, with bounded counts except for digits.

    >>> leaner("[a-f0-9]{32}-"), leaner(r"\d{13}"), leaner(r"(?i)[\w.]*secret=")
    ('[a-f0-9]{8,}-', '\\d{13}', '(?i)secret=')
    """
    without_gap = _LEADING_GAP.sub(lambda match: match[1] or "", trigger)
    return _COUNTED.sub(_bounded, without_gap)


def _bounded(match: "re.Match[str]") -> str:
    if match[1] == r"\d" or int(match[2]) <= _MOST_COUNTED:
        return match[0]
    return f"{match[1]}{{{_MOST_COUNTED},}}"


def is_anchored(trigger: str) -> bool:
    r"""Whether it depends on where a text begins or ends, apart from word boundaries (`\b`).

    >>> is_anchored("^pin"), is_anchored(r"\Apin"), is_anchored(r"(?:^|[^\w])pin\$[^a]")
    (True, True, False)
    """
    left = _CLASS.sub("", _OR_ANYTHING_ELSE.sub("", _ESCAPED.sub("", trigger)))
    return "^" in left or "$" in left or r"\A" in left or r"\z" in left


def _kind(trigger: str) -> str:
    if is_anchored(trigger):
        return "anchored"
    if len(trigger) > _LONG_LIST:
        return "all secret words"
    if trigger.startswith("(?i)"):
        return "words"
    return "runs" if trigger.startswith(("[", "\\d")) or "|[" in trigger else "prefixes"


def _search_of(kind: str) -> str:
    """The group of kinds that are searched together.

    Prefixes and words do not multiply each other's states in a search for the first match, as they
    do in a Set. (In all orders of kinds tried, on the load tool's texts and on random ones.)
    """
    return "prefixes and words" if kind in {"prefixes", "all secret words"} else kind


class Triggers:
    """Compiled triggers; `__call__` returns the numbers of those that match, usually none."""

    __slots__ = ("_searches",)

    def __init__(self, triggers: Sequence[str]) -> None:
        """Compile the triggers. Raises re2.error for one that RE2 rejects."""
        by_kind: dict[str, list[int]] = {}
        for number, trigger in enumerate(triggers):
            by_kind.setdefault(_kind(trigger), []).append(number)
        by_search: dict[str, list[str]] = {}
        for kind in by_kind:
            by_search.setdefault(_search_of(kind), []).append(kind)
        self._searches: list[_Search] = []
        for search, kinds in by_search.items():
            numbers = [number for kind in kinds for number in by_kind[kind]]
            self._searches.append(
                (
                    None if search == "anchored" else _where([triggers[n] for n in numbers]),
                    [(_which([triggers[n] for n in by_kind[k]]), tuple(by_kind[k])) for k in kinds],
                )
            )

    def __call__(self, raw: bytes) -> Sequence[int]:
        """Numbers of the triggers that match anywhere in `raw`."""
        found: list[int] | None = None
        for _, sets in self._searches:
            for match, numbers in sets:
                hits = match(raw)
                if hits:
                    here = [numbers[hit] for hit in hits]
                    found = here if found is None else found + here
        return _NOTHING if found is None else found

    def among(self, texts: Sequence[str]) -> dict[int, list[int]]:
        """The same for many texts: index -> numbers, of those with any match."""
        joined = "\0".join(texts).encode("utf-8", "replace")
        found: dict[int, list[int]] = {}
        # Texts have no NUL. If one did, indexes could not be determined.
        is_apart = joined.count(b"\0") == len(texts) - 1
        for find, sets in self._searches:
            if find is None or not is_apart:
                for place, text in enumerate(texts):
                    _note(text.encode("utf-8", "replace"), sets, place, found)
                continue
            place, begin, end = 0, 0, len(joined)
            while begin < end:
                start, stop = find(UNANCHORED, joined, begin, end)[0]
                if start < 0:
                    break
                # The match may include the character before it: any one that is not a letter.
                inside = start + 1 if joined[start : start + 1] == b"\0" else start
                place += joined.count(b"\0", begin, inside)
                begin = joined.rfind(b"\0", 0, inside) + 1
                # It may span several texts, each of which may have its own match.
                while True:
                    after = joined.find(b"\0", begin)
                    after = end if after < 0 else after
                    _note(joined[begin:after], sets, place, found)
                    if after >= stop or after == end:
                        break
                    place, begin = place + 1, after + 1
                begin = after
        return found


def _note(raw: bytes, sets: list[_Which], place: int, found: dict[int, list[int]]) -> None:
    for match, numbers in sets:
        hits = match(raw)
        if hits:
            found.setdefault(place, []).extend([numbers[hit] for hit in hits])


def _which(triggers: Sequence[str]) -> _Match:
    matcher = re2.Set.SearchSet(options())
    for trigger in triggers:
        matcher.Add(leaner(trigger))
    matcher.Compile()
    match: _Match = matcher._set.Match  # noqa: SLF001 - the wrapper takes as long as the match
    return match


def _where(triggers: Sequence[str]) -> _Find:
    chosen = options()
    chosen.never_capture = True
    joined = "|".join([f"(?:{leaner(trigger)})" for trigger in triggers])
    compiled = re2.compile(joined, options=chosen)
    find: _Find = compiled._regexp.Match  # noqa: SLF001 - the same
    return find
