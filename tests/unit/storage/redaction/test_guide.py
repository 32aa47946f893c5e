"""docs/redaction.md matches the rules."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

from storage.redaction.redactor import Redactor
from storage.redaction.replace import DENSE
from storage.redaction.rules import REPLACEMENTS, default_rules

GUIDE = (Path(__file__).parents[4] / "docs" / "redaction.md").read_text("utf-8")


def test_every_rule_is_in_the_guide_in_order() -> None:
    """Name, purpose, default and source, in order of precedence."""
    rows = [
        f"| `{rule.name}` | {rule.what} | {'on' if rule.enabled else 'off'} | [page]({rule.source}) |"
        for rule in default_rules().rules
    ]

    assert "\n".join(rows) in GUIDE


def test_every_replacement_and_marker_is_in_the_guide() -> None:
    """So that readers of records recognize them."""
    for name in REPLACEMENTS:
        assert f"| `{name}` |" in GUIDE
    assert f"[REDACTED:{DENSE}]" in GUIDE
    assert "[REDACTED:unscanned]" in GUIDE


def test_the_example_of_the_guide_works(make: Callable[..., Redactor]) -> None:
    """As printed there."""
    example = re.search(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    assert example is not None
    redactor = make(**tomllib.loads(example[1])["redaction"])

    safe, hits = redactor.text("employee E-123456 left, E-000000 stays, vpn_code=tulip")

    assert "E-123456" not in safe
    assert "E-000000" in safe
    assert dict(hits) == {"employee_number": 1, "secret_field": 1}
