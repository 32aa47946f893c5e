"""Rules as data: config/rules/*.toml and custom ones from the settings, validated on loading."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Final

import re2

from config.errors import SetupError
from config.settings import RedactionSettings
from storage.redaction.recognition.shapes import options
from storage.redaction.recognition.validators import VALIDATORS

REPLACEMENTS: Final = ("marker", "hmac", "last4", "drop")
_FILES: Final = ("secrets.toml", "pii.toml")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_FIRST_EDGE: Final = re.compile(r"^(\(\?i\))?\\b")
_WORD_EDGE: Final = r"(?:\b|\\[nrt])"
_LEFT_EDGE: Final = r"(?:^|\\[nrtbf]|\x1b\[[0-9;]{0,12}m|[^"
_COUNT: Final = re.compile(r"(?<!\\x)\{(\d+)(?:,\d*)?\}")
_LONG_GAP: Final = re.compile(r"(?<!\\x)\{(\d+),\d{2,}\}")
_FILLER: Final = re.compile(r"\{([AHDU])(\d+)\}")
_FILLERS: Final = {
    "A": "aZ3kQ9xB7mT2vL5nR8wY",
    "H": "0f1e9d8c7b6a5243",
    "D": "3918274650",
    "U": "K7QX2MZP5RTW3BVN",
}
_CUSTOM_FIELDS: Final = frozenset(
    (
        "name",
        "what",
        "source",
        "pattern",
        "trigger",
        "validator",
        "replacement",
        "keys",
        "allow",
        "canary",
    )
)
# Ordinary text in which no sensible rule matches: a pattern that does is too broad.
_ORDINARY: Final = (
    b"The quick brown fox jumps over the lazy dog",
    b"GET /api/v2/orders/17 completed with status 200 in 12 ms",
    b"a",
    b"0",
    b" ",
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, with the settings applied."""

    name: str
    what: str = ""
    source: str = ""
    patterns: tuple[str, ...] = ()
    """RE2; empty for rules with a finder in code, or with names only."""
    weak: tuple[str, ...] = ()
    """Further patterns, which count only if the validator accepts the match."""
    finder: str = ""
    triggers: tuple[str, ...] = ()
    """Patterns of the first pass; the rule runs only where one of them matches."""
    validator: str = "always"
    replacement: str = "marker"
    keys: tuple[str, ...] = ()
    """Further names whose values this rule redacts."""
    allow: tuple[str, ...] = ()
    """Patterns (RE2, whole match) of harmless matches."""
    canary: str = ""
    """Text that the rule must redact."""
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules of an installation, in order of precedence, and the word lists for names."""

    rules: tuple[Rule, ...]
    names: Mapping[str, Sequence[str]]
    off: tuple[Rule, ...] = ()
    """Disabled rules."""


@cache
def default_rules() -> RuleSet:
    """The built-in rules."""
    rules: list[Rule] = []
    names: dict[str, list[str]] = {}
    for file in _FILES:
        content = tomllib.loads(files("config").joinpath("rules", file).read_text("utf-8"))
        rules.extend(_default_rule(table) for table in content["rule"])
        names.update(content.get("names", {}))
    return RuleSet(tuple(rules), names)


def _default_rule(table: Mapping[str, Any]) -> Rule:
    patterns = tuple(map(_with_edges, _texts(table, "pattern", table["name"])))
    weak = tuple(map(_with_edges, _texts(table, "weak", table["name"])))
    return Rule(
        name=table["name"],
        what=table["what"],
        source=table["source"],
        patterns=patterns,
        weak=weak,
        finder=table.get("finder", ""),
        triggers=tuple(map(_without_gaps, _texts(table, "trigger", table["name"])))
        or tuple(map(trigger_of, (*patterns, *weak))),
        validator=table.get("validator", "always"),
        canary="".join(map(_filled, table["canary"])),
        enabled=table.get("enabled", True),
    )


def _with_edges(pattern: str) -> str:
    """The pattern, with edges that handle escaped line feeds and terminal colours.

    Otherwise the letter of such an escape would count as the character before a word.
    """
    begun = _FIRST_EDGE.sub(lambda match: (match[1] or "") + _WORD_EDGE, pattern)
    return begun.replace("(?:^|[^", _LEFT_EDGE)


def _without_gaps(trigger: str) -> str:
    """The trigger without upper bounds: counting costs the first pass one state per step."""
    return _LONG_GAP.sub(r"{\1,}", _with_edges(trigger))


def trigger_of(pattern: str) -> str:
    """A cheaper pattern that matches wherever `pattern` does: long counts become "at least four".

    >>> trigger_of("ghp_[A-Za-z0-9]{36}")
    'ghp_[A-Za-z0-9]{4,}'
    """
    return _COUNT.sub(lambda match: "{4,}" if int(match[1]) > 3 else match[0], pattern)


def _filled(part: str) -> str:
    """One part of a canary; `{A36}` stands for 36 mixed characters, H hex, D digits, U capitals."""
    return _FILLER.sub(lambda match: (_FILLERS[match[1]] * 10)[: int(match[2])], part)


def rules_of(settings: RedactionSettings) -> RuleSet:
    """The rules according to `settings`.

    Raises:
        SetupError: a name, pattern, validator or replacement is unknown or invalid; the message
            names the setting.
    """
    known = {rule.name: rule for rule in default_rules().rules}
    for place, names in (
        ("redaction.enable", settings.enable),
        ("redaction.disable", settings.disable),
    ):
        _require(names, known, place)
    own = [_custom_rule(table, f"redaction.rules[{i}]") for i, table in enumerate(settings.rules)]
    for i, rule in enumerate(own):
        if rule.name in known:
            raise SetupError(
                f"redaction.rules[{i}].name {rule.name!r} is taken; choose another name"
            )
        known[rule.name] = rule
    _require(settings.replace, known, "redaction.replace")
    for name, kind in settings.replace.items():
        _check_replacement(name, kind, f"redaction.replace.{name}")
    on: list[Rule] = []
    off: list[Rule] = []
    for rule in known.values():
        wanted = (
            rule.enabled or rule.name in settings.enable
        ) and rule.name not in settings.disable
        kind = settings.replace.get(rule.name, rule.replacement)
        (on if wanted else off).append(replace(rule, replacement=kind))
    return RuleSet(tuple(on), default_rules().names, tuple(off))


def _require(names: Iterable[str], known: Iterable[str], place: str) -> None:
    for name in names:
        if name not in known:
            raise SetupError(f"{place}: unknown rule {name!r}; use {', '.join(known)}")


def _check_replacement(name: str, kind: str, place: str) -> None:
    if kind not in REPLACEMENTS:
        raise SetupError(f"{place}: unknown {kind!r}; use {', '.join(REPLACEMENTS)}")
    if kind == "last4" and name != "credit_card":
        raise SetupError(f"{place}: last4 is only for credit_card; use marker or hmac")


def _custom_rule(table: Mapping[str, object], place: str) -> Rule:
    unknown = sorted(set(table) - _CUSTOM_FIELDS)
    if unknown:
        raise SetupError(
            f"{place}.{unknown[0]} is unknown; use {', '.join(sorted(_CUSTOM_FIELDS))}"
        )
    name = _text(table, "name", place)
    if not _NAME.fullmatch(name):
        raise SetupError(f"{place}.name must match {_NAME.pattern}")
    keys = _texts(table, "keys", place)
    patterns = _texts(table, "pattern", place)
    if not patterns and not keys:
        raise SetupError(f"{place}.pattern is missing; a rule needs a pattern, keys, or both")
    triggers = _texts(table, "trigger", place)
    allow = _texts(table, "allow", place)
    for field, texts in (("pattern", patterns), ("trigger", triggers), ("allow", allow)):
        for one in texts:
            _check_pattern(one, f"{place}.{field}")
    validator = _text(table, "validator", place) if "validator" in table else "always"
    if validator not in VALIDATORS:
        raise SetupError(f"{place}.validator: unknown {validator!r}; use {', '.join(VALIDATORS)}")
    kind = _text(table, "replacement", place) if "replacement" in table else "marker"
    _check_replacement(name, kind, f"{place}.replacement")
    return Rule(
        name=name,
        what=str(table.get("what", "")),
        source=str(table.get("source", "opslog.toml")),
        patterns=patterns,
        triggers=triggers or patterns,
        validator=validator,
        replacement=kind,
        keys=keys,
        allow=allow,
        canary=str(table.get("canary", "")),
    )


def _text(table: Mapping[str, object], field: str, place: str) -> str:
    value = table.get(field)
    if not isinstance(value, str) or not value:
        raise SetupError(f"{place}.{field} must be a non-empty string")
    return value


def _texts(table: Mapping[str, Any], field: str, place: str) -> tuple[str, ...]:
    value = table.get(field, [])
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise SetupError(f"{place}.{field} must be a list of non-empty strings")
    return tuple(texts)


def _check_pattern(pattern: str, place: str) -> None:
    try:
        compiled = re2.compile(pattern, options=options())
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0]
        raise SetupError(
            f"{place}: invalid RE2 pattern ({reason}); lookaround and backreferences are not supported"
        ) from None
    if compiled.fullmatch(b"") or compiled.search(b"").__class__ is not type(None):
        raise SetupError(
            f"{place}: the pattern matches the empty string; require at least one character"
        )
    if all(compiled.search(text) for text in _ORDINARY[:2]) or any(
        compiled.fullmatch(text) for text in _ORDINARY
    ):
        raise SetupError(f"{place}: the pattern matches ordinary text; make it narrower")
