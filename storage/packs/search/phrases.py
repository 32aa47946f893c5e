"""Whether all, none or some messages of a template contain a phrase."""

from storage.filtering.filters import Text
from storage.packs.index.folding import folded
from storage.packs.index.templates import Templates
from storage.packs.search.texts import lowered

_SLOT = "\x00"


def verdict(template: str, condition: Text, templates: Templates) -> bool | None:
    """True: all contain it. False: none does. None: it depends on the variables."""
    phrase = condition.text
    if condition.ignores_case:
        phrase, template = lowered(phrase), lowered(template)
    if not phrase:
        return True
    if "\n" in phrase:
        return False
    words, tokens = phrase.split(" "), template.split(" ")
    if all(char < "\x80" for char in phrase) and any(
        phrase in fixed for fixed in template.split(_SLOT)
    ):
        return True
    maybe = False
    for start in range(len(tokens) - len(words) + 1):
        found = _aligned(words, tokens[start : start + len(words)], templates)
        if found:
            return True
        maybe = maybe or found is None
    return None if maybe else False


def _aligned(words: list[str], tokens: list[str], templates: Templates) -> bool | None:
    """Whether the words match these tokens: the first as a suffix, the last as a prefix."""
    last = len(words) - 1
    sure = True
    for number, (word, token) in enumerate(zip(words, tokens, strict=True)):
        if token == _SLOT:
            if not word:
                if 0 < number < last:
                    return False
                continue
            if not templates.may_be_in_variable(folded(word)):
                return False
            sure = False
        elif not _fits(word, token, is_first=number == 0, is_last=number == last):
            return False
    return True if sure else None


def _fits(word: str, token: str, *, is_first: bool, is_last: bool) -> bool:
    if is_first and is_last:
        return word in token
    if is_first:
        return token.endswith(word)
    return token.startswith(word) if is_last else token == word
