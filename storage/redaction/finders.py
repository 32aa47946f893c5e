"""The finders that rules name: functions from bytes to the spans of what must go."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

import re2

from storage.redaction.headers import authorizations, cookies
from storage.redaction.inserts import Inserts
from storage.redaction.keys import KeyNames
from storage.redaction.pairs import ELEMENT, FLAG, NAMED, PAIR, Elements, Flags, Named, Pairs
from storage.redaction.pem import private_keys
from storage.redaction.personal import cards, emails
from storage.redaction.rules import Rule
from storage.redaction.shapes import Span, options, searcher
from storage.redaction.uris import uri_passwords
from storage.redaction.validators import VALIDATORS

Finder: TypeAlias = Callable[[bytes], Iterable[Span]]

_FINDERS: Final[dict[str, Finder]] = {
    "authorization": authorizations,
    "card": cards,
    "cookie": cookies,
    "email": emails,
    "pem": private_keys,
    "uri": uri_passwords,
}


_BY_NAME: Final[dict[str, tuple[Callable[[KeyNames], Finder], str]]] = {
    "pairs": (Pairs, PAIR),
    "flags": (Flags, FLAG),
    "elements": (Elements, ELEMENT),
    "named": (Named, NAMED),
    "inserts": (Inserts, ""),
}
"""Finders that judge names, with their first pass."""


def finder_of(rule: Rule, names: KeyNames) -> Finder:
    """The function that does what `rule` says."""
    if rule.finder in _BY_NAME:
        return _BY_NAME[rule.finder][0](names)
    return _FINDERS[rule.finder] if rule.finder else shape_finder(rule)


def triggers_of(rule: Rule) -> tuple[str, ...]:
    """The patterns of the first pass for `rule`."""
    return rule.triggers or (_BY_NAME[rule.finder][1],)


def shape_finder(rule: Rule) -> Finder:
    """A finder for a rule that is made of patterns and a validator."""
    searches = [searcher(pattern) for pattern in rule.patterns]
    valid = VALIDATORS[rule.validator]
    allowed = [re2.compile(pattern, options=options()) for pattern in rule.allow]

    def find(raw: bytes) -> Iterator[Span]:
        for search in searches:
            position = 0
            while (span := search(raw, position)) is not None:
                start, position = span
                match = raw[start:position]
                if valid(match) and not any(pattern.fullmatch(match) for pattern in allowed):
                    yield span
                else:
                    yield start, start

    return find
