"""docs/redaction.md lists what is in force."""

from pathlib import Path

from storage.redaction.replace import DENSE
from storage.redaction.rules import REPLACEMENTS, shipped

GUIDE = (Path(__file__).parents[4] / "docs" / "redaction.md").read_text("utf-8")


def test_every_rule_is_in_the_guide_in_order_and_as_it_is() -> None:
    """Name, purpose, default and source, in order of precedence."""
    rows = [
        f"| `{rule.name}` | {rule.what} | {'on' if rule.enabled else 'off'} | [page]({rule.source}) |"
        for rule in shipped().rules
    ]

    assert "\n".join(rows) in GUIDE


def test_every_replacement_and_marker_is_in_the_guide() -> None:
    """So that nobody has to guess what stands in a record."""
    for name in REPLACEMENTS:
        assert f"| `{name}` |" in GUIDE
    assert f"[REDACTED:{DENSE}]" in GUIDE
    assert "[REDACTED:unscanned]" in GUIDE
