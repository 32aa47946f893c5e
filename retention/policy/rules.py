"""Settings -> how long each class is kept, and its minimum age. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from config.retention import AUDIT, AUDIT_MIN_KEEP, DEFAULT_KEEP
from config.settings import RetentionSettings

DEFAULT_RULE = "default"
NO_FLOOR = timedelta(0)


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy of one retention class."""

    class_name: str
    rule: str
    """The rule's name; `default` without a rule."""
    keep: timedelta
    floor: timedelta = NO_FLOOR
    is_former: bool = False
    """Its rule was removed from the settings; the last policy in force still applies."""

    def due_at(self, newest: datetime) -> datetime:
        """When a segment expires whose newest record arrived at `newest`."""
        return newest + self.keep


def policies(settings: RetentionSettings) -> dict[str, Policy]:
    """Class to policy, for every class in these settings."""
    found = {
        name: Policy(name, DEFAULT_RULE, keep, _least(name)) for name, keep in DEFAULT_KEEP.items()
    }
    for rule in reversed(settings.rules):  # the first rule wins, so it is applied last
        for name in rule.classes:
            found[name] = Policy(name, rule.name, rule.keep, max(rule.floor, _least(name)))
    return found


def _least(class_name: str) -> timedelta:
    return AUDIT_MIN_KEEP if class_name == AUDIT else NO_FLOOR


def with_former(
    current: Mapping[str, Policy], recorded: Iterable[Policy], classes: Iterable[str]
) -> dict[str, Policy]:
    """The policies of all `classes` that have records, including those of removed rules.

    A class without any known policy is omitted, and its records are kept for ever.
    """
    known = {policy.class_name: policy for policy in recorded}
    found = dict(current)
    for name in classes:
        if name not in found and name in known:
            was = known[name]
            found[name] = Policy(name, was.rule, was.keep, was.floor, is_former=True)
    return found


def longest_keep(found: Mapping[str, Policy]) -> timedelta:
    """The longest retention period of all classes."""
    return max(policy.keep for policy in found.values())
