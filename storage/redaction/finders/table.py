"""The finders that rules refer to: functions from bytes to the spans to redact."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import Any, Final, TypeAlias

import re2

from storage.redaction.finders.headers import authorizations, basics, bearers, cookies, sessions
from storage.redaction.finders.inserts import Inserts
from storage.redaction.finders.named import Elements, Named, element_pattern, named_pattern
from storage.redaction.finders.pairs import Flags, Pairs, flag_pattern, pair_pattern
from storage.redaction.finders.pem import private_keys
from storage.redaction.finders.personal import cards, emails
from storage.redaction.finders.uris import go_passwords, oracle_passwords, uri_passwords
from storage.redaction.recognition.keys import KeyNames
from storage.redaction.recognition.shapes import Shape, Span, options
from storage.redaction.recognition.validators import VALIDATORS, Validator
from storage.redaction.rules import Rule

Finder: TypeAlias = Callable[[bytes], Iterable[Span]]
"""Spans to redact; an empty span is a rejected candidate, which also costs time."""
_Allowed: TypeAlias = Any  # re2 has no types
_Pattern: TypeAlias = Callable[[KeyNames], str]

_FINDERS: Final[dict[str, tuple[Finder, ...]]] = {
    "authorization": (authorizations, bearers, basics),
    "card": (cards,),
    "cookie": (cookies, sessions),
    "email": (emails,),
    "pem": (private_keys,),
    "uri": (uri_passwords, go_passwords, oracle_passwords),
}
"""Finders with several parts have one per trigger of their rule, in the same order."""
_BY_NAME: Final[dict[str, tuple[Callable[[KeyNames], Finder], _Pattern | None]]] = {
    "elements": (Elements, element_pattern),
    "flags": (Flags, flag_pattern),
    "inserts": (Inserts, None),
    "named": (Named, named_pattern),
    "pairs": (Pairs, pair_pattern),
}
"""Finders that classify names, with the pattern of their first pass."""

# Approximate cost of a candidate, in tenths of a microsecond (scan.py).
_COSTS: Final = {
    "authorization": 25,
    "card": 30,
    "cookie": 14,
    "elements": 15,
    "email": 13,
    "flags": 50,
    "inserts": 20,
    "named": 27,
    "pairs": 16,
    "pem": 11,
    "uri": 32,
}
_SHAPE_COST: Final = 18
_GROUP_COST: Final = 35


def arms_of(rule: Rule, names: KeyNames) -> list[tuple[str, Finder]]:
    """The triggers of `rule`, each with the function that runs where it matches."""
    if rule.finder in _BY_NAME:
        make, pattern = _BY_NAME[rule.finder]
        triggers = (pattern(names),) if pattern is not None else rule.triggers
        return list(zip(triggers, repeat(make(names))))
    arms: list[tuple[str, Finder]] = []
    if rule.keys:
        only = KeyNames.only(rule.keys)
        arms.append((pair_pattern(only), Pairs(only)))
    return arms + _shape_arms(rule)


def _shape_arms(rule: Rule) -> list[tuple[str, Finder]]:
    parts = _FINDERS[rule.finder] if rule.finder else tuple(_shape_finders(rule))
    if len(parts) == len(rule.triggers):
        return list(zip(rule.triggers, parts, strict=True))
    return list(zip(rule.triggers, repeat(_in_turn(parts))))


def _in_turn(parts: tuple[Finder, ...]) -> Finder:
    return lambda raw: chain.from_iterable(part(raw) for part in parts)


def cost_of(rule: Rule) -> int:
    """The cost of one candidate of `rule`, charged to a text's budget (scan.py)."""
    has_group = any("(?P<" in pattern for pattern in (*rule.patterns, *rule.weak))
    return _COSTS.get(rule.finder, _GROUP_COST if has_group else _SHAPE_COST)


def _shape_finders(rule: Rule) -> Iterator[Finder]:
    """Finders for the patterns of a rule, with its validator."""
    valid = VALIDATORS[rule.validator]
    strong = VALIDATORS["always"] if rule.weak else valid
    allowed = [re2.compile(pattern, options=options()) for pattern in rule.allow]
    for pattern in rule.patterns:
        yield _shape_finder(Shape(pattern), strong, allowed)
    for pattern in rule.weak:
        yield _shape_finder(Shape(pattern), valid, allowed)


def _shape_finder(shape: Shape, valid: Validator, allowed: Sequence[_Allowed]) -> Finder:
    def find(raw: bytes) -> Iterator[Span]:
        for start, end in shape.each(raw):
            match = raw[start:end]
            passes = not valid(match) or any(pattern.fullmatch(match) for pattern in allowed)
            yield start, start if passes else end

    return find
