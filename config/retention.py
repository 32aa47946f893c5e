"""How long records are kept: `[[retention.rules]]` and their validation.

The first matching rule applies; without a match, the default of the level. A rule that names only
levels sets the retention of their classes; any other rule creates its own class.
storage/record/classes.py derives the classes of records from rules, retention/policy/rules.py the
cut-offs.
"""

import difflib
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

from config.errors import SetupError
from config.levels import LEVEL_NAMES
from config.units import duration_s, duration_text

AUDIT = "audit"
KINDS = ("log", "span", AUDIT)
AUDIT_MIN_KEEP = timedelta(days=365)
"""Audit records are kept for at least a year: PCI DSS 4.0.1, 10.5.1, requires twelve months."""
DEFAULT_KEEP: dict[str, timedelta] = {
    "debug": timedelta(days=7),
    "info": timedelta(days=30),
    "warn": timedelta(days=90),
    "error": timedelta(days=180),
    "critical": timedelta(days=365),
    AUDIT: AUDIT_MIN_KEEP,
}
"""Default retention by class, where no rule sets another."""
MIN_KEEP = timedelta(hours=1)
"""Anything shorter is a typo: a segment takes longer to fill."""
MAX_RULES = 100
"""Each class costs an open segment with its indexes and counters."""


def _period(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError('is not a duration; use for example "90d", "12h" or "3y"')  # noqa: TRY004 - pydantic reports ValueErrors
    try:
        return timedelta(seconds=duration_s(value))
    except (SetupError, OverflowError) as error:
        raise ValueError(str(error)) from None


def period_text(period: timedelta) -> str:
    """Human-readable duration: `30d`, `12h`."""
    return duration_text(period.total_seconds())


Period = Annotated[timedelta, BeforeValidator(_period), PlainSerializer(period_text)]


def _as_tuple(value: object) -> object:
    """Convert `"a"` to `("a",)` and lists to tuples."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


Strings = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_as_tuple)]


def _one_of(known: Sequence[str], given: Sequence[str], what: str) -> None:
    for word in given:
        if word not in known:
            raise ValueError(f"{word!r} is not a {what}; use {', '.join(known)}")


class RetentionRule(BaseModel):
    """Conditions on records and how long the matching ones are kept. Unset conditions match all."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,49}$")]
    """Shown wherever the rule applies; unless the rule names only levels, also its class."""
    keep: Period
    """Retention period from arrival."""
    floor: Period = timedelta(0)
    """Minimum retention: no shorter `keep`, no size limit and no purge removes them earlier."""
    level: Strings = ()
    """DEBUG, INFO, WARN, ERROR, CRITICAL."""
    source_module: Strings = ()
    """Source modules; `payments*` matches by prefix."""
    action: Strings = ()
    """Actions, likewise."""
    kind: Strings = ()
    """log, span; audit cannot be combined."""
    resource_type: Strings = ()
    """Resource types, likewise."""

    @model_validator(mode="before")
    @classmethod
    def _is_known(cls, given: object) -> object:
        for name in given if isinstance(given, dict) else ():
            if name not in cls.model_fields:
                near = difflib.get_close_matches(str(name).lower(), cls.model_fields, n=1)
                hint = f"did you mean {near[0]}?" if near else ", ".join(cls.model_fields)
                raise ValueError(f"unknown rule field {name}; {hint}")
        return given

    @model_validator(mode="after")
    def _is_possible(self) -> "RetentionRule":
        _one_of(LEVEL_NAMES, self.level, "level")
        _one_of(KINDS, self.kind, "kind")
        if self.keep < max(self.floor, MIN_KEEP):
            least = period_text(max(self.floor, MIN_KEEP))
            raise ValueError(
                f"keep {period_text(self.keep)} is shorter than the minimum of {least}"
            )
        if AUDIT in self.kind:
            self._check_audit()
        elif not self.is_by_level and self.name in DEFAULT_KEEP:
            raise ValueError(f"{self.name} is a built-in class; use another name")
        elif not any(getattr(self, field) for field in MATCHED):
            raise ValueError("matches everything; set a level, source module, action or type")
        return self

    def _check_audit(self) -> None:
        if len(self.kind) > 1 or any(getattr(self, field) for field in MATCHED if field != "kind"):
            raise ValueError("kind audit cannot be combined with other conditions or kinds")
        if self.keep < AUDIT_MIN_KEEP:
            raise ValueError(
                f"keep {period_text(self.keep)} is shorter than the minimum for audit records, "
                f"{period_text(AUDIT_MIN_KEEP)}"
            )

    @property
    def is_by_level(self) -> bool:
        """Whether it sets the retention of existing classes rather than creating one."""
        others = any(getattr(self, field) for field in MATCHED if field != "level")
        return AUDIT in self.kind or not others

    @property
    def classes(self) -> tuple[str, ...]:
        """The retention classes that it applies to."""
        if AUDIT in self.kind:
            return (AUDIT,)
        return tuple(name.lower() for name in self.level) if self.is_by_level else (self.name,)

    def matches(self, values: Sequence[str | None]) -> bool:
        """Whether a record with these values, in the order of MATCHED, matches."""
        return all(
            _is_among(getattr(self, field), value)
            for field, value in zip(MATCHED, values, strict=True)
        )


MATCHED = ("level", "kind", "source_module", "action", "resource_type")
"""Conditions of a rule, in the order of the values passed to `matches`."""


def _is_among(patterns: tuple[str, ...], value: str | None) -> bool:
    if not patterns:
        return True
    return value is not None and any(
        value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern
        for pattern in patterns
    )


def check_rules(rules: Sequence[RetentionRule]) -> None:
    """Raise ValueError for duplicate names, unreachable rules, and two rules for audit records."""
    names: set[str] = set()
    for number, rule in enumerate(rules):
        if rule.name in names:
            raise ValueError(f"rule {number + 1}: duplicate rule name {rule.name}")
        names.add(rule.name)
        if AUDIT not in rule.kind and not is_reachable(rule, rules[:number]):
            raise ValueError(
                f"rule {number + 1}: {rule.name} never applies because earlier rules match all "
                "of its records; move it before them or remove it"
            )
    if len([rule for rule in rules if AUDIT in rule.kind]) > 1:
        raise ValueError("more than one rule applies to audit records")


def is_reachable(rule: RetentionRule, before: Sequence[RetentionRule]) -> bool:
    """Whether a record can match `rule` and none of the rules `before` it.

    Rules test a value only against their patterns, so it suffices to try one value per pattern and
    one that matches no pattern.
    """
    return _has_own_match(rule, tuple(before), 0)


def _has_own_match(rule: RetentionRule, before: tuple[RetentionRule, ...], place: int) -> bool:
    if not before:
        return True
    if place == len(MATCHED):
        return False
    field = MATCHED[place]
    patterns: list[str] = [pattern for each in (rule, *before) for pattern in getattr(each, field)]
    seen: set[tuple[RetentionRule, ...]] = set()
    for value in _sample_values(field, patterns):
        if not _is_among(getattr(rule, field), value):
            continue
        left = tuple(each for each in before if _is_among(getattr(each, field), value))
        if left not in seen and _has_own_match(rule, left, place + 1):
            return True
        seen.add(left)
    return False


_CLOSED: dict[str, tuple[str, ...]] = {"level": LEVEL_NAMES, "kind": ("log", "span")}


def _sample_values(field: str, patterns: Sequence[str]) -> Sequence[str | None]:
    if field in _CLOSED:
        return _CLOSED[field]
    # U+FFFF is a noncharacter, so it is in no pattern: a value with the pattern's prefix only.
    named: list[Any] = [p[:-1] + "\uffff" if p.endswith("*") else p for p in patterns]
    return [*named, "\uffff", *([None] if field == "resource_type" else [])]
