"""The query language: text -> filter tree (grammar: docs/query-language.md). Pure.

    text  ->  tokens (tokens.py)  ->  parse  ->  Filter (storage/filtering/filters.py)

terms.py parses the values of each field. Errors are BadQuery with the position of the error.
"""

from collections.abc import Sequence

from query.errors import BadQuery
from query.language.lexer import Token, Type, tokens
from query.language.terms import Context, field_term, word_term
from storage.filtering.filters import EVERYTHING, And, Filter, Not, Or, all_of

MAX_TERMS = 200
"""Terms in one query; more are a mistake or an attack, and slow to plan."""
MAX_DEPTH = 32
"""Nesting of parentheses."""


def parse_query(text: str, context: Context) -> Filter:
    """The filter of a query; EVERYTHING for an empty one. Raises BadQuery."""
    found = tokens(text, context.is_known)
    terms = [item for item in found if item.type in _TERMS]
    if len(terms) > MAX_TERMS:
        raise BadQuery(f"A query has at most {MAX_TERMS} terms", terms[MAX_TERMS].at)
    if not found:
        return EVERYTHING
    parser = _Parser(found, len(text), context)
    condition = parser.alternatives(0)
    parser.expect_end()
    return condition


_TERMS = frozenset({Type.WORD, Type.PHRASE, Type.REGEX, Type.FIELD})
_NOT = frozenset({"NOT", "-"})


class _Parser:
    """Recursive descent; precedence: minus, then AND (also implicit), then OR."""

    def __init__(self, found: Sequence[Token], end: int, context: Context) -> None:
        self._tokens = found
        self._end = end
        self._next = 0
        self._context = context

    def alternatives(self, depth: int) -> Filter:
        """Alternatives: one OR another."""
        of = [self._conjunction(depth)]
        while self._is_operator("OR"):
            self._next += 1
            of.append(self._conjunction(depth))
        return of[0] if len(of) == 1 else Or(tuple(of))

    def expect_end(self) -> None:
        """Raise BadQuery for a remaining token, which can only be a parenthesis."""
        token = self._peek()
        if token is not None:
            raise BadQuery("Unmatched closing parenthesis", token.at)

    def _conjunction(self, depth: int) -> Filter:
        """Terms that must all match, with or without AND."""
        of = [self._negatable(depth)]
        while (token := self._peek()) is not None and token.type is not Type.CLOSE:
            if self._is_operator("OR"):
                break
            if self._is_operator("AND"):
                self._next += 1
            of.append(self._negatable(depth))
        return all_of(*of)

    def _negatable(self, depth: int) -> Filter:
        is_negated = False
        while (token := self._peek()) is not None and (
            token.type is Type.OPERATOR and token.text in _NOT
        ):
            is_negated = not is_negated
            self._next += 1
        condition = self._term(depth)
        return Not(condition) if is_negated else condition

    def _term(self, depth: int) -> Filter:
        token = self._peek()
        if token is None:
            raise BadQuery("Unexpected end of query", self._end)
        self._next += 1
        if token.type is Type.OPEN:
            return self._group(token, depth)
        if token.type is Type.FIELD:
            return field_term(token, self._context)
        if token.type in _TERMS:
            return word_term(token, self._context)
        if token.type is Type.CLOSE:
            raise BadQuery("Unmatched closing parenthesis, or empty parentheses", token.at)
        raise BadQuery(
            f"{token.text} must be between two terms. Quote it to match the word", token.at
        )

    def _group(self, opening: Token, depth: int) -> Filter:
        if depth >= MAX_DEPTH:
            raise BadQuery(f"At most {MAX_DEPTH} nested parentheses", opening.at)
        condition = self.alternatives(depth + 1)
        token = self._peek()
        if token is None or token.type is not Type.CLOSE:
            raise BadQuery("Unclosed parenthesis", opening.at)
        self._next += 1
        return condition

    def _peek(self) -> Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _is_operator(self, word: str) -> bool:
        token = self._peek()
        return token is not None and token.type is Type.OPERATOR and token.text == word


def conjuncts(condition: Filter) -> tuple[Filter, ...]:
    """The top-level conditions of a filter, all of which must match."""
    return condition.of if isinstance(condition, And) else (condition,)
