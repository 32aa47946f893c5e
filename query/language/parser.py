"""The search language: one text, one filter tree (grammar: docs/query-language.md). Pure.

    text  ->  tokens (tokens.py)  ->  parse  ->  Filter (storage/filtering/filters.py)

The values of each field are in terms.py. Errors are BadQuery with the position of the character.
"""

from collections.abc import Sequence

from query.errors import BadQuery
from query.language.terms import Context, field_term, word_term
from query.language.tokens import Token, Type, tokens
from storage.filtering.filters import EVERYTHING, And, Filter, Not, Or, all_of

MAX_TERMS = 200
"""Terms of one question; more are a mistake or an attack, and plan slowly."""
MAX_DEPTH = 32
"""Parentheses inside each other."""


def parse_query(text: str, context: Context) -> Filter:
    """The filter that a question selects by; EVERYTHING for an empty one. Raises BadQuery."""
    found = tokens(text)
    terms = [item for item in found if item.type in _TERMS]
    if len(terms) > MAX_TERMS:
        raise BadQuery(f"the question has more than {MAX_TERMS} terms", terms[MAX_TERMS].at)
    if not found:
        return EVERYTHING
    parser = _Parser(found, len(text), context)
    condition = parser.either(0)
    parser.expect_end()
    return condition


_TERMS = frozenset({Type.WORD, Type.PHRASE, Type.REGEX, Type.FIELD})
_NOT = frozenset({"NOT", "-"})


class _Parser:
    """Recursive descent; OR binds least, then terms side by side, then the minus."""

    def __init__(self, found: Sequence[Token], end: int, context: Context) -> None:
        self._tokens = found
        self._end = end
        self._next = 0
        self._context = context

    def either(self, depth: int) -> Filter:
        """Alternatives: one OR another."""
        of = [self._together(depth)]
        while self._is_operator("OR"):
            self._next += 1
            of.append(self._together(depth))
        return of[0] if len(of) == 1 else Or(tuple(of))

    def expect_end(self) -> None:
        """Refuses what is left over, which can only be a parenthesis."""
        token = self._peek()
        if token is not None:
            raise BadQuery("this parenthesis closes nothing", token.at)

    def _together(self, depth: int) -> Filter:
        """Terms side by side, with or without AND between them."""
        of = [self._signed(depth)]
        while (token := self._peek()) is not None and token.type is not Type.CLOSE:
            if self._is_operator("OR"):
                break
            if self._is_operator("AND"):
                self._next += 1
            of.append(self._signed(depth))
        return all_of(*of)

    def _signed(self, depth: int) -> Filter:
        is_turned = False
        while (token := self._peek()) is not None and (
            token.type is Type.OPERATOR and token.text in _NOT
        ):
            is_turned = not is_turned
            self._next += 1
        condition = self._one(depth)
        return Not(condition) if is_turned else condition

    def _one(self, depth: int) -> Filter:
        token = self._peek()
        if token is None:
            raise BadQuery("something is missing at the end", self._end)
        self._next += 1
        if token.type is Type.OPEN:
            return self._group(token, depth)
        if token.type is Type.FIELD:
            return field_term(token, self._context)
        if token.type in _TERMS:
            return word_term(token, self._context)
        if token.type is Type.CLOSE:
            raise BadQuery("this parenthesis closes nothing, or an empty pair", token.at)
        raise BadQuery(f"{token.text} stands between two terms, or is a word in quotes", token.at)

    def _group(self, opening: Token, depth: int) -> Filter:
        if depth >= MAX_DEPTH:
            raise BadQuery(f"more than {MAX_DEPTH} parentheses inside each other", opening.at)
        condition = self.either(depth + 1)
        token = self._peek()
        if token is None or token.type is not Type.CLOSE:
            raise BadQuery("this parenthesis is not closed", opening.at)
        self._next += 1
        return condition

    def _peek(self) -> Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _is_operator(self, word: str) -> bool:
        token = self._peek()
        return token is not None and token.type is Type.OPERATOR and token.text == word


def conjuncts(condition: Filter) -> tuple[Filter, ...]:
    """What must all hold at the top of a filter."""
    return condition.of if isinstance(condition, And) else (condition,)
