"""docs/reference/failpoints.md against storage/failpoints.py, and both against the code."""

import re
from pathlib import Path

from storage.failpoints import PLACES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/reference/failpoints.md").read_text()


def test_every_place_is_on_the_page_with_its_meaning():
    rows = dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", PAGE, re.MULTILINE))

    assert rows == PLACES


def test_every_place_is_reached_in_the_code():
    packages = ("storage", "otlp_receiver", "query", "retention", "opslog")
    code = "".join(
        path.read_text() for package in packages for path in (ROOT / package).rglob("*.py")
    )
    reached = set(re.findall(r'reach\("([^"]+)"\)', code))

    assert set(PLACES) == reached
