"""Which message templates contain a phrase, or match a pattern: all messages, none, or some."""

from functools import lru_cache
from typing import TypeAlias

import numpy as np

from storage.filtering.filters import Regex, Text
from storage.packs.index.folding import folded
from storage.packs.index.templates import Templates
from storage.packs.parquet.encode import Array
from storage.packs.search.patterns import clauses, is_free, searcher
from storage.packs.search.texts import lowered
from storage.record.fields import MESSAGE

NO, OPEN, YES = 0, 1, 2
"""No message of the template, some, all. And is the minimum, Or the maximum, Not YES minus it."""
_SLOT = "\x00"
_MOST_KNOWN = 20_000
"""Templates of one condition that are remembered."""

Needs: TypeAlias = "bool | tuple[tuple[str, ...], ...]"
"""A verdict, or the alternatives: words that variables of the message must contain."""


def verdicts(condition: Text | Regex, templates: Templates) -> Array | None:
    """A verdict for each template and for all others; None: templates do not tell."""
    if isinstance(condition, Regex):
        if condition.field is not MESSAGE:
            return None
        return templates.remembered(condition, lambda: _of_pattern(condition, templates))
    if not condition.text.isascii():
        return None  # templates are not composed (NFC)
    return templates.remembered(condition, lambda: _of_text(condition, templates))


def _open(templates: Templates) -> Array:
    found = np.full(len(templates.texts) + 1, OPEN, np.uint8)
    if not templates.has_others:
        found[-1] = NO
    return found


def _of_text(condition: Text, templates: Templates) -> Array:
    may_be: dict[str, bool] = {}

    def in_variable(word: str) -> bool:
        if word not in may_be:
            may_be[word] = templates.may_be_in_variable(folded(word))
        return may_be[word]

    known = _known_needs(condition)
    if len(known) > _MOST_KNOWN:
        known.clear()
    found = _open(templates)
    for at, template in enumerate(templates.texts):
        needs = known.get(template)
        if needs is None:
            needs = known[template] = needs_of(template, condition)
        if needs is True:
            found[at] = YES
        elif needs is False or not any(all(map(in_variable, words)) for words in needs):
            found[at] = NO
    return found


@lru_cache(maxsize=64)
def _known_needs(_: Text) -> dict[str, Needs]:
    """What is known about the templates that were looked at for a condition."""
    return {}


def _of_pattern(condition: Regex, templates: Templates) -> Array:
    found = _open(templates)
    for clause in clauses(condition.pattern):
        texts = [_of_text(Text(text, condition.ignores_case), templates) for text in clause]
        # A message without these texts does not match; with them it may.
        found = np.minimum(found, np.maximum.reduce(texts))
    for at, template in enumerate(templates.texts):
        if found[at] != NO:
            found[at] = _matched(template, condition)
    return found


@lru_cache(maxsize=16_384)
def _matched(template: str, condition: Regex) -> int:
    search = searcher(condition.pattern, condition.ignores_case)
    if _SLOT not in template:
        return YES if search(template.encode()) else NO
    if not is_free(condition.pattern):
        return OPEN
    pieces = template.encode().split(_SLOT.encode())
    return YES if any(map(search, pieces)) else OPEN


def needs_of(template: str, condition: Text) -> Needs:
    """True: all messages contain the phrase. False: none does. Else it depends on variables."""
    phrase = condition.text
    if condition.ignores_case:
        phrase, template = lowered(phrase), lowered(template)
    if not phrase:
        return True
    if "\n" in phrase:
        return False
    if phrase.isascii() and any(phrase in fixed for fixed in template.split(_SLOT)):
        return True
    words, tokens = phrase.split(" "), template.split(" ")
    alternatives = []
    for start in range(len(tokens) - len(words) + 1):
        needs = _aligned(words, tokens[start : start + len(words)])
        if needs is not None:
            alternatives.append(needs)
    return (
        tuple(dict.fromkeys(alternatives))
        if all(alternatives) and alternatives
        else bool(alternatives)
    )


def _aligned(words: list[str], tokens: list[str]) -> tuple[str, ...] | None:
    """The words that variables must contain for the words to match these tokens; None: never.

    The first word matches as a suffix, the last as a prefix.
    """
    last = len(words) - 1
    needs: list[str] = []
    for number, (word, token) in enumerate(zip(words, tokens, strict=True)):
        if token == _SLOT:
            if word:
                needs.append(word)
            elif 0 < number < last:
                return None
        elif not _fits(word, token, is_first=number == 0, is_last=number == last):
            return None
    return tuple(needs)


def _fits(word: str, token: str, *, is_first: bool, is_last: bool) -> bool:
    if is_first and is_last:
        return word in token
    if is_first:
        return token.endswith(word)
    return token.startswith(word) if is_last else token == word
