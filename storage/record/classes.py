"""The retention class of a record.

There is one per level, one for audit, and one per rule that matches more than levels
(config/retention.py). Evaluated once per record: the rules are compiled when the process starts,
and the result for each combination of values is cached.
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
"""Maximum number of cached combinations; beyond it the cache is cleared."""


def classify(record: Record) -> str:
    """The retention class of a record if no rule defines its own class."""
    return AUDIT if record.kind == AUDIT else CLASS_BY_LEVEL[record.level]


def classifier(settings: RetentionSettings) -> Classify:
    """A function from a record to its class by these rules; an index lookup without rules."""
    if all(rule.is_by_level for rule in settings.rules):
        return classify
    decided = _ClassCache([rule for rule in settings.rules if AUDIT not in rule.kind])
    values_of = decided.values_of

    def by_rules(record: Record) -> str:
        return decided[values_of(record)]

    return by_rules


def classes_of(settings: RetentionSettings) -> tuple[str, ...]:
    """The classes of telemetry: those of the levels, and those that rules define."""
    custom = [rule.name for rule in settings.rules if not rule.is_by_level]
    return (*CLASS_BY_LEVEL, *custom)


class _ClassCache(dict[Any, str]):
    """Maps the values of a record to its class, computed on first use."""

    def __init__(self, rules: Sequence[RetentionRule]) -> None:
        super().__init__()
        self._rules = rules
        # Only fields that some rule uses: fewer combinations, faster lookups.
        self._fields = tuple(
            field
            for field in MATCHED
            if field in {"level", "kind"} or any(getattr(rule, field) for rule in rules)
        )
        self.values_of: Callable[[Record], tuple[Any, ...]] = attrgetter(*self._fields)

    def __missing__(self, values: tuple[Any, ...]) -> str:
        if len(self) >= _REMEMBERED:
            self.clear()
        decided = self[values] = self._decide(dict(zip(self._fields, values, strict=True)))
        return decided

    def _decide(self, seen: dict[str, Any]) -> str:
        level: int = seen["level"]
        if seen["kind"] == AUDIT:
            return AUDIT
        by_level = CLASS_BY_LEVEL[level]
        compared = [LEVEL_NAMES[level], *(seen.get(field) for field in MATCHED[1:])]
        for rule in self._rules:
            if rule.matches(compared):
                return by_level if rule.is_by_level else rule.name
        return by_level
