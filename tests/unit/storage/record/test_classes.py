"""The retention class of a record."""

import pytest

from config.retention import RetentionRule
from config.settings import RetentionSettings
from storage.record.classes import CLASS_BY_LEVEL, classes_of, classifier, classify
from tests.support.records import make_record

RULES = RetentionSettings(
    rules=[
        RetentionRule(name="short-debug", keep="1d", level="DEBUG"),
        RetentionRule(name="payments", keep="3y", source_module="payments*"),
        RetentionRule(name="logins", keep="1y", action="login", kind="log"),
        RetentionRule(name="orders", keep="2y", resource_type="order", level=["INFO", "WARN"]),
    ]
)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"level": 0, "source_module": "payments"}, "debug"),  # the first rule that matches
        ({"level": 1, "source_module": "payments"}, "payments"),
        ({"level": 4, "source_module": "payments-eu"}, "payments"),
        ({"level": 1, "source_module": "pay"}, "info"),
        ({"level": 2, "action": "login"}, "logins"),
        ({"level": 2, "action": "login", "kind": "span"}, "warn"),
        ({"level": 2, "resource_type": "order"}, "orders"),
        ({"level": 3, "resource_type": "order"}, "error"),
        ({"level": 1, "source_module": "payments", "kind": "audit"}, "audit"),
    ],
)
def test_the_first_rule_that_matches_decides(fields: dict[str, object], expected: str) -> None:
    """After the last one the level does; audit records are a class of their own."""
    decide = classifier(RULES)
    record = make_record(**fields)

    assert decide(record) == expected
    assert decide(record) == expected  # cached


def test_without_custom_classes_the_fast_path_is_taken() -> None:
    """Rules of levels alone change no class."""
    assert classifier(RetentionSettings()) is classify
    assert classifier(RetentionSettings(rules=RULES.rules[:1])) is classify
    assert classes_of(RetentionSettings()) == CLASS_BY_LEVEL
    assert classes_of(RULES) == (*CLASS_BY_LEVEL, "payments", "logins", "orders")


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache has a limit."""
    monkeypatch.setattr("storage.record.classes._REMEMBERED", 10)
    decide = classifier(RULES)

    for number in range(100):
        assert decide(make_record(level=1, source_module=f"m{number}")) == "info"
