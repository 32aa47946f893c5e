"""Which retention class a record belongs to.

There is one per level, one for audit, and one per rule that names more than levels
(config/retention.py).
Asked once per record: rules are turned into a lookup when a process starts, and what they said
about a combination of values is remembered.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from config.levels import LEVEL_NAMES
from config.retention import AUDIT, MATCHED, RetentionRule
from config.settings import RetentionSettings
from storage.record.copy_binary import Classify
from storage.record.record import Record

__all__ = ["AUDIT", "CLASS_BY_LEVEL", "classes_of", "classifier", "classify"]

CLASS_BY_LEVEL: tuple[str, ...] = tuple(name.lower() for name in LEVEL_NAMES)

_REMEMBERED = 65_536
"""Combinations of values; beyond it all are forgotten and found anew."""


def classify(record: Record) -> str:
    """The retention class of a record where no rule makes classes of its own."""
    return AUDIT if record.kind == AUDIT else CLASS_BY_LEVEL[record.level]


def classifier(settings: RetentionSettings) -> Classify:
    """What names the class of each record by these rules; without rules as quick as an index."""
    if all(rule.is_by_level for rule in settings.rules):
        return classify
    decided = _Decided([rule for rule in settings.rules if AUDIT not in rule.kind])
    values_of = decided.values_of

    def by_rules(record: Record) -> str:
        return decided[values_of(record)]

    return by_rules


def classes_of(settings: RetentionSettings) -> tuple[str, ...]:
    """The classes that telemetry may go to: those of the levels, and those that rules make."""
    own = [rule.name for rule in settings.rules if not rule.is_by_level]
    return (*CLASS_BY_LEVEL, *own)


class _Decided(dict[Any, str]):
    """Values of a record to its class, found when first asked for."""

    def __init__(self, rules: Sequence[RetentionRule]) -> None:
        super().__init__()
        self._rules = rules
        # Only what some rule looks at: fewer combinations, quicker lookups.
        self._looked_at = tuple(
            field
            for field in MATCHED
            if field in {"level", "kind"} or any(getattr(rule, field) for rule in rules)
        )
        self.values_of: Callable[[Record], tuple[Any, ...]] = attrgetter(*self._looked_at)

    def __missing__(self, values: tuple[Any, ...]) -> str:
        if len(self) >= _REMEMBERED:
            self.clear()
        decided = self[values] = self._decide(dict(zip(self._looked_at, values, strict=True)))
        return decided

    def _decide(self, seen: dict[str, Any]) -> str:
        level: int = seen["level"]
        if seen["kind"] == AUDIT:
            return AUDIT
        by_level = CLASS_BY_LEVEL[level]
        asked = [LEVEL_NAMES[level], *(seen.get(field) for field in MATCHED[1:])]
        for rule in self._rules:
            if rule.matches(asked):
                return by_level if rule.is_by_level else rule.name
        return by_level
