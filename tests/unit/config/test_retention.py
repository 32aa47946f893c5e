"""Retention rules: valid ones, and errors with their location."""

from datetime import timedelta
from pathlib import Path

import pytest

from config.errors import SetupError
from config.loading.load import load
from config.retention import RetentionRule, is_reachable
from config.settings import RetentionSettings


def rule(name: str = "r", keep: str = "90d", **matches) -> RetentionRule:
    """One rule."""
    return RetentionRule(name=name, keep=keep, **matches)


def error_of(tmp_path: Path, text: str) -> str:
    """The error message for a settings file."""
    file = tmp_path / "opslog.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SetupError) as caught:
        load({}, config=file)
    return str(caught.value)


def test_rules_are_read_from_the_file(tmp_path: Path) -> None:
    """A string may replace a list of one; durations have units."""
    file = tmp_path / "opslog.toml"
    file.write_text("""
        [[retention.rules]]
        name = "payments"
        source_module = "payments*"
        keep = "3y"
        floor = "1y"

        [[retention.rules]]
        name = "short-debug"
        level = ["DEBUG"]
        keep = "12h"
        """)

    payments, debug = load({}, config=file).settings.retention.rules

    assert (payments.classes, payments.keep) == (("payments",), timedelta(days=3 * 365))
    assert (debug.classes, debug.keep) == (("debug",), timedelta(hours=12))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('name = "a"\nkeep = "7d"\nlevel = "TRACE"', "'TRACE' is not a level"),
        ('name = "a"\nkeep = "7d"\nkind = "event"', "'event' is not a kind"),
        ('name = "a"\nkeep = 7\nlevel = "DEBUG"', "rules.0.keep: is not a duration"),
        ('name = "a"\nkeep = "7 days"\nlevel = "DEBUG"', "'7 days' is not a duration"),
        (
            'name = "a"\nkeep = "7d"\nfloor = "8d"\nlevel = "DEBUG"',
            "shorter than the minimum of 8d",
        ),
        ('name = "a"\nkeep = "1s"\nlevel = "DEBUG"', "shorter than the minimum of 1h"),
        ('name = "a"\nkeep = "364d"\nkind = "audit"', "the minimum for audit records, 365d"),
        ('name = "a"\nkeep = "2y"\nkind = "audit"\nlevel = "INFO"', "cannot be combined"),
        ('name = "a"\nkeep = "7d"', "matches everything"),
        ('name = "info"\nkeep = "7d"\naction = "a"', "info is a built-in class"),
        ('name = "A b"\nkeep = "7d"\nlevel = "INFO"', "rules.0.name"),
        ('name = "a"\nkeep = "7d"\nmodule = "x"', "unknown rule field module"),
        ('name = "a"\nkeep = "7d"\nsourceModule = "x"', "did you mean source_module?"),
    ],
)
def test_an_invalid_rule_is_rejected_with_its_location(
    tmp_path: Path, lines: str, expected: str
) -> None:
    """File, line of the rules, number of the rule, error."""
    message = error_of(tmp_path, f"[[retention.rules]]\n{lines}\n")

    assert expected in message
    assert "opslog.toml:1: retention.rules" in message


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ('name = "a"\nlevel = "INFO"', 'name = "a"\nlevel = "WARN"', "duplicate rule name a"),
        ('name = "a"\nlevel = "INFO"', 'name = "b"\nlevel = "INFO"', "b never applies"),
        (
            'name = "a"\nkind = "audit"',
            'name = "b"\nkind = "audit"',
            "more than one rule applies to audit records",
        ),
    ],
)
def test_conflicting_rules_are_rejected(
    tmp_path: Path, first: str, second: str, expected: str
) -> None:
    """The message names the location."""
    both = "".join(f'[[retention.rules]]\n{lines}\nkeep = "400d"\n' for lines in (first, second))

    message = error_of(tmp_path, both)

    assert expected in message
    assert "opslog.toml:1: retention.rules" in message


REACHABLE = [
    # (rule, rules before it, whether it can apply)
    (rule(source_module="a"), [rule(source_module="b")], True),
    (rule(source_module="ab"), [rule(source_module="a*")], False),
    (rule(source_module="a*"), [rule(source_module="ab*")], True),
    (rule(source_module="a"), [rule(action="x")], True),
    (rule(source_module="a", level="INFO"), [rule(source_module="a")], False),
    (rule(source_module="a"), [rule(source_module="a", level="INFO")], True),
    (rule(source_module="a"), [rule(level=["DEBUG", "INFO"]),
                               rule(level=["WARN", "ERROR", "CRITICAL"])], False),
    (rule(source_module="a"), [rule(kind="log"), rule(kind="span")], False),
    (rule(resource_type="t"), [rule(resource_type="*")], False),
    (rule(action="x"), [rule(resource_type="*")], True),  # records without a resource type
]  # fmt: skip


@pytest.mark.parametrize(("late", "before", "can_apply"), REACHABLE)
def test_a_rule_is_reachable_if_a_record_matches_none_before(
    late: RetentionRule, before: list[RetentionRule], *, can_apply: bool
) -> None:
    """Several rules together can shadow one, too."""
    assert is_reachable(late, before) is can_apply


def test_a_hundred_rules_are_checked_fast() -> None:
    """The check considers sets of rules, not all combinations of values."""
    rules = [
        rule(f"r{n}", source_module=f"m{n}", action=f"a{n % 7}*", resource_type=f"t{n % 5}")
        for n in range(100)
    ]

    assert len(RetentionSettings(rules=rules).rules) == 100
