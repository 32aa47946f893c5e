"""Classifies field names: split into words, which are matched whole, never as substrings.

`author`, `input_tokens` and `messaging.kafka.message.key` are harmless although they contain a key
word; `DB_PASSWORD`, `spring.datasource.password` and `userPassword` are secret. The words are data
(config/rules/secrets.toml, table [names]).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Final

_HUMPS: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[^\W\d_A-Z]+|[A-Z]+")
_GLUE: Final = re.compile(r"[\W\d_]+")
_MEMO_ENTRIES: Final = 8192


class Kind(Enum):
    """How a value is treated because of its name."""

    PLAIN = "plain"
    """Unclassified: the text rules decide."""
    DOUBTFUL = "doubtful"
    """A secret if it looks like one."""
    SECRET = "secret"  # noqa: S105 (a kind, not a secret)
    """A secret unless it is clearly harmless (null, a mask, a placeholder)."""
    AUTHORIZATION = "authorization"
    """A scheme and credentials."""
    COOKIE = "cookie"
    """Pairs of names and secret values."""
    CUSTOM = "custom"
    """A secret according to a custom rule."""
    ACTOR = "actor"
    """A user's id: an e-mail address in it becomes a token."""


_PAIRED: Final = frozenset((Kind.SECRET, Kind.DOUBTFUL))
_SHORT_WORD: Final = 4
_HEADERS: Final = frozenset((Kind.AUTHORIZATION, Kind.COOKIE))
_HEADER_TAILS: Final = frozenset(("header", "headers", "value", "values"))


class KeyNames:
    """Classifies names by the kind of their value; results are cached."""

    __slots__ = (
        "_beside",
        "_counted",
        "_glued",
        "_memo",
        "_not_after",
        "_not_before",
        "_runs",
        "_secret",
        "_tails",
        "_whole",
    )

    def __init__(
        self,
        words: Mapping[str, Sequence[str]],
        *,
        allow: Iterable[str] = (),
        secret: Iterable[str] = (),
        custom: Iterable[str] = (),
    ) -> None:
        """Take the word lists of the rules and the names that the settings add.

        Args:
            words: the table [names]: runs, doubtful, glued, counted, not_before, not_after, tails,
                actors, allow.
            allow: names that are never secret.
            secret: names that are always secret.
            custom: names that a custom rule handles.
        """
        self._runs = _by_first(words["runs"], Kind.SECRET) | {}
        for first, runs in _by_first(words["doubtful"], Kind.DOUBTFUL).items():
            self._runs.setdefault(first, []).extend(runs)
        for header, kind in (("authorization", Kind.AUTHORIZATION), ("cookie", Kind.COOKIE)):
            for first, runs in _by_first(words[header], kind).items():
                self._runs.setdefault(first, []).extend(runs)
        for runs in self._runs.values():
            runs.sort(key=lambda run: -len(run[0]))
        self._glued = tuple(words["glued"])
        self._counted = frozenset(words["counted"])
        self._not_before = frozenset(words["not_before"])
        self._not_after = frozenset(words["not_after"])
        self._tails = frozenset(words["tails"])
        self._secret = frozenset(name.lower() for name in secret)
        self._whole = dict.fromkeys(words["actors"], Kind.ACTOR)
        self._whole |= dict.fromkeys(self._secret, Kind.SECRET)
        self._whole |= dict.fromkeys(map(str.lower, custom), Kind.CUSTOM)
        self._whole |= dict.fromkeys(map(str.lower, (*words["allow"], *allow)), Kind.PLAIN)
        self._beside = frozenset(words["beside"])
        self._memo: dict[str, Kind] = {}

    @property
    def stems(self) -> str:
        """RE2 for the words that a secret name may contain, for the first pass over a text.

        Long words match anywhere, short ones only as a whole word, so that `author=` and
        `shipping=` do not match.
        """
        runs = {run for group in self._runs.values() for run, kind in group if kind in _PAIRED}
        # A word that matches by itself also covers every run that ends with it.
        runs = {run for run in runs if len(run) == 1 or run[-1:] not in runs}
        joined = {r"[ _.\-]?".join(map(re.escape, run)) for run in runs}
        joined |= {re.escape(word) for word in self._glued} | {re.escape(w) for w in self._secret}
        short = sorted(word for word in joined if len(word) <= _SHORT_WORD and word.isascii())
        parts = sorted(joined.difference(short), key=len)
        if short:
            humps = "|".join(word.capitalize() for word in short)
            parts.append(rf"(?:\b|[_\d])(?:{'|'.join(short)})(?:\b|[_\d])")
            parts.append(rf"(?-i:[a-z](?:{humps})(?:\b|[A-Z_\d]))")
        return "|".join(parts)

    @classmethod
    def only(cls, names: Iterable[str]) -> "KeyNames":
        """A classifier for which only these names are secret."""
        lists = ("runs", "doubtful", "authorization", "cookie", "glued", "counted", "not_before")
        rest = ("not_after", "tails", "actors", "allow", "beside")
        return cls(dict.fromkeys((*lists, *rest), ()), secret=names)

    def kind(self, name: str) -> Kind:
        """The kind of the value of `name`."""
        found = self._memo.get(name)
        if found is None:
            found = self._judge(name[:512])
            if len(self._memo) >= _MEMO_ENTRIES:
                self._memo.clear()
            self._memo[name] = found
        return found

    def is_plural(self, name: str) -> bool:
        """Whether the name may be that of a count: `tokens`, `secrets`."""
        words = split_words(name)
        return bool(words) and words[-1] in self._counted

    def is_beside(self, name: bytes) -> bool:
        """Whether the field is harmless inside a secret-named map: `username` of credentials."""
        text = name.decode("utf-8", "replace")
        return not self._beside.isdisjoint(split_words(text)) and self.kind(text) is Kind.PLAIN

    @staticmethod
    def is_pin(name: str) -> bool:
        """Whether the name is that of a personal number: `pin`, `user_pin`."""
        return split_words(name)[-1:] == ["pin"]

    @staticmethod
    def is_directory(name: str) -> bool:
        """Whether the name is that of the shell's working directory: `PWD`, `OLDPWD`."""
        return name.lower() in {"pwd", "oldpwd", "pid.pwd", "env.pwd"}

    def _judge(self, name: str) -> Kind:
        lower = name.lower()
        if lower in self._whole:
            return self._whole[lower]
        words = split_words(name)
        found = Kind.PLAIN
        for start, word in enumerate(words):
            for run, kind in self._runs.get(word, ()):
                end = start + len(run)
                if tuple(words[start:end]) == run:
                    seen = self._in_context(words, start, end, kind)
                    found = found if seen is Kind.PLAIN else seen
                    break
            if found is not Kind.PLAIN and found is not Kind.DOUBTFUL:
                return found
        if _GLUE.sub("", lower).endswith(self._glued) and not self._not_before & set(words):
            return Kind.SECRET
        return found

    def _in_context(self, words: list[str], start: int, end: int, kind: Kind) -> Kind:
        """The kind of a key word in the context of its neighbours: `max_tokens`, `token_type`."""
        if start and words[start - 1] in self._not_before:
            return Kind.PLAIN
        after = words[end:]
        if kind in _HEADERS:
            return kind if set(after) <= _HEADER_TAILS else Kind.PLAIN
        if not after or set(after) <= self._tails:
            return kind
        if set(after) & self._not_after:
            return Kind.PLAIN
        return Kind.DOUBTFUL


def split_words(name: str) -> list[str]:
    """The words of a name, in lower case, without digits.

    >>> split_words("spring.datasource.userPassword2"), split_words("X-API-Key")
    (['spring', 'datasource', 'user', 'password'], ['x', 'api', 'key'])
    """
    return [word.lower() for word in _HUMPS.findall(name)]


def _by_first(names: Iterable[str], kind: Kind) -> dict[str, list[tuple[tuple[str, ...], Kind]]]:
    found: dict[str, list[tuple[tuple[str, ...], Kind]]] = {}
    for name in names:
        run = tuple(name.split())
        found.setdefault(run[0], []).append((run, kind))
    return found
