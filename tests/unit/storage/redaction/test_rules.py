"""Rules: default ones are complete, custom ones are validated, and errors name their setting."""

import re
from collections.abc import Callable

import pytest

from config.errors import SetupError
from config.settings import RedactionSettings
from storage.redaction.redactor import Redactor
from storage.redaction.rules import default_rules, rules_of, trigger_of
from storage.redaction.tokens import HmacKeys

Make = Callable[..., Redactor]


def test_every_default_rule_has_a_purpose_and_a_source() -> None:
    """Name, purpose, the provider's page and a canary."""
    for rule in default_rules().rules:
        assert re.fullmatch(r"[a-z][a-z0-9_]+", rule.name)
        assert rule.what, rule.name
        assert rule.source.startswith("https://"), rule.name
        assert rule.canary, rule.name
        assert rule.finder or rule.patterns, rule.name


def test_optional_rules_are_off_by_default(make: Make, redactor: Redactor) -> None:
    """Social security numbers, phones, IBANs and addresses stay by default."""
    text = "ssn 219-09-9999 tel +44 20 7946 0018 iban GB82 WEST 1234 5698 7654 32 from 198.51.100.7"
    enabled = make(enable=["us_ssn", "phone", "iban", "ip_address"])

    assert redactor.text(text) == (text, ())
    assert enabled.text(text)[0] == (
        "ssn [REDACTED:us_ssn] tel [REDACTED:phone] iban [REDACTED:iban] from [REDACTED:ip_address]"
    )
    assert enabled.text("at 2001:db8::ff00:42:8329.")[0] == "at [REDACTED:ip_address]."
    assert enabled.text("000-12-3456 and GB82 WEST 1234 5698 7654 33")[1] == ()


def test_a_rule_can_be_switched_off(make: Make) -> None:
    """By its name; the others stay enabled."""
    redactor = make(disable=["email"])

    assert redactor.text("a@b.example 4111111111111111")[0] == (
        "a@b.example [REDACTED:credit_card]"
    )


def test_rules_of_names_can_be_switched_off(make: Make) -> None:
    """Then only the shape of a value counts."""
    redactor = make(disable=["secret_field", "authorization", "email"])

    assert redactor.value("password", "hunter2x9") == ("hunter2x9", ())
    assert redactor.value("user.id", "a@b.example") == ("a@b.example", ())


def test_custom_rules_redact_by_pattern_and_by_name(make: Make) -> None:
    """A pattern with an allowlist, a validator, field names, and a replacement."""
    redactor = make(
        rules=[
            {
                "name": "ticket",
                "pattern": r"TK-[0-9]{6}",
                "allow": "TK-000000",
                "canary": "TK-123456",
            },
            {"name": "employee", "keys": ["employee_no", "badge"], "replacement": "hmac"},
            {"name": "custom_card", "pattern": [r"[0-9]{16}"], "validator": "card"},
        ],
        disable=["credit_card"],
    )

    assert redactor.text("TK-123456 TK-000000")[0] == "[REDACTED:ticket] TK-000000"
    assert redactor.text("5555555555554444 1234567890123456")[0] == (
        "[REDACTED:custom_card] 1234567890123456"
    )
    value, hits = redactor.value("employee_no", 4711)
    assert str(value).startswith("hmac:k1:")
    assert hits == (("employee", 1),)
    assert redactor.value("Badge", {"x": "abc"})[1] == (("employee", 1),)
    assert redactor.text("badge=abc123 name=bob")[1] == (("employee", 1),)


def test_secret_and_allowed_names_of_the_settings(make: Make) -> None:
    """`secret_keys` and `allow_keys`."""
    redactor = make(secret_keys=["vpn_code"], allow_keys=["db.password"])

    assert redactor.value("vpn_code", "swordfish")[0] == "[REDACTED:secret_field]"
    assert redactor.text("vpn_code=swordfish")[0] == "vpn_code=[REDACTED:secret_field]"
    assert redactor.value("db.password", "swordfish")[0] == "swordfish"


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"enable": ["nope"]}, "redaction.enable"),
        ({"disable": ["nope"]}, "redaction.disable"),
        ({"replace": {"nope": "hmac"}}, "redaction.replace"),
        ({"replace": {"email": "nope"}}, "redaction.replace.email"),
        ({"replace": {"email": "last4"}}, "redaction.replace.email"),
        ({"rules": [{"pattern": "x"}]}, "redaction.rules[0].name"),
        ({"rules": [{"name": "X!", "pattern": "x"}]}, "redaction.rules[0].name"),
        ({"rules": [{"name": "email", "pattern": "x1"}]}, "redaction.rules[0].name"),
        ({"rules": [{"name": "a"}]}, "redaction.rules[0].pattern"),
        ({"rules": [{"name": "a", "pattern": 3}]}, "redaction.rules[0].pattern"),
        ({"rules": [{"name": "a", "pattern": ["b1", ""]}]}, "redaction.rules[0].pattern"),
        ({"rules": [{"name": "a", "pattern": "(?=x)"}]}, "redaction.rules[0].pattern"),
        ({"rules": [{"name": "a", "pattern": "("}]}, "redaction.rules[0].pattern"),
        ({"rules": [{"name": "a", "pattern": "x*"}]}, "redaction.rules[0].pattern"),
        ({"rules": [{"name": "a", "pattern": ".+"}]}, "redaction.rules[0].pattern"),
        ({"rules": [{"name": "a", "pattern": "o"}]}, "redaction.rules[0].pattern"),
        ({"rules": [{"name": "a", "pattern": "x1", "trigger": "("}]}, "redaction.rules[0].trigger"),
        ({"rules": [{"name": "a", "pattern": "x1", "allow": ["("]}]}, "redaction.rules[0].allow"),
        ({"rules": [{"name": "a", "pattern": "x1", "validator": "n"}]}, "redaction.rules[0].valid"),
        ({"rules": [{"name": "a", "pattern": "x1", "replacement": "n"}]}, "redaction.rules[0].rep"),
        ({"rules": [{"name": "a", "pattern": "x1", "colour": "n"}]}, "redaction.rules[0].colour"),
        ({"rules": [{"name": "a", "pattern": "x1", "canary": "none"}]}, "redaction rule 'a'"),
    ],
)
def test_errors_in_the_settings_are_named(
    make: Make, settings: dict[str, object], place: str
) -> None:
    """An error at start that names the setting, never a rule that silently does nothing."""
    with pytest.raises(SetupError, match=re.escape(place)):
        make(**settings)


def test_a_trigger_is_wider_than_its_pattern() -> None:
    """Counts from four up become "at least four", smaller ones stay."""
    assert trigger_of("ab{2}c{36}d{4,9}e{0,3}") == "ab{2}c{4,}d{4,}e{0,3}"


def test_replacements(make: Make) -> None:
    """Marker, token, last four, nothing."""
    redactor = make(replace={"credit_card": "last4", "email": "hmac", "jwt": "drop"})
    token = HmacKeys({"k1": b"0123456789abcdef0123456789abcdef"}, current="k1").token(
        b"a@b.example"
    )

    assert redactor.text("4111 1111 1111 1111")[0] == "[REDACTED:credit_card:1111]"
    assert redactor.text("to a@b.example")[0] == f"to {token}"
    assert redactor.text("x eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0. y")[0] == "x  y"


def test_enabled_and_disabled_rules_are_all_listed() -> None:
    """For the API and the guide."""
    chosen = rules_of(RedactionSettings(disable=["email"]))

    assert {rule.name for rule in (*chosen.rules, *chosen.off)} == {
        rule.name for rule in default_rules().rules
    }
    assert "email" in {rule.name for rule in chosen.off}
