"""docs/reliability.md: every fault has a test, and the tests named exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reliability.md").read_text("utf-8")
FAULTS = 79
ROWS = dict(re.findall(r"^\| F(\d+) \| .* \| (.*) \|$", PAGE, re.MULTILINE))
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_fault_has_a_row_with_a_test() -> None:
    """`as F1` counts if F1 names one."""
    assert {int(number) for number in ROWS} == set(range(1, FAULTS + 1))
    for number, cell in ROWS.items():
        other = re.fullmatch(r"as F(\d+)", cell)
        assert TEST.search(ROWS[other[1]] if other else cell), f"F{number}"


def test_the_tests_it_names_exist() -> None:
    """Renaming a test fails here."""
    named = TEST.findall(PAGE)
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not re.search(
            rf"^(?:async )?def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE
        )
    ]
    assert missing == []
    assert len(named) > FAULTS / 2


def test_the_page_has_the_results_of_the_long_run() -> None:
    """At least two hundred kills, and nothing lost."""
    total = re.search(
        r"^\| \*\*all\*\* \| \d+ \| (\d+) \| [\d,]+ \| 0 \| 0 \| 0 \| 0 \|", PAGE, re.MULTILINE
    )
    assert total, "the table of make test-faults-long is missing, or shows a loss"
    assert int(total[1]) >= 200
