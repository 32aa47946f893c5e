"""T56: all packages are locked with hashes, without known vulnerabilities.

`make lock` writes requirements.lock; `make audit` queries advisories, which requires pypi.org.
"""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
FIXED = {
    "aiohttp": (
        "3.14.1",
        "CVE-2026-54278; CVE-2025-69223, 69226 before it: requests, static files",
    ),
    "orjson": ("3.11.6", "CVE-2025-67221: deep nesting"),
    "pyjwt": ("2.13", "CVE-2026-48523: an algorithm of the attacker's choice"),
}
"""The first version without a vulnerability that affects opslog."""


def wanted() -> dict[str, Requirement]:
    """Return the runtime requirements of pyproject.toml by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    texts = [*project["dependencies"], *extras["speed"], *extras["demo"]]
    return {canonicalize_name(Requirement(text).name): Requirement(text) for text in texts}


def locked() -> dict[str, tuple[str, int]]:
    """Return version and number of hashes by name."""
    found = {}
    for entry in re.split(r"\n(?=[a-z])", (ROOT / "requirements.lock").read_text("utf-8")):
        head = re.match(r"([a-z0-9._-]+)==([^\s;]+)", entry)
        if head:
            found[canonicalize_name(head[1])] = head[2], entry.count("--hash=sha256:")
    return found


def test_everything_that_runs_is_locked_with_hashes() -> None:
    """`pip install --require-hashes -r requirements.lock` needs each of them."""
    lock = locked()

    assert set(wanted()) - set(lock) == set(), "make lock"
    for name, requirement in wanted().items():
        assert requirement.specifier.contains(lock[name][0]), f"{name}: make lock"
    assert [name for name, (_, hashes) in lock.items() if not hashes] == []


def test_the_lock_names_no_place() -> None:
    """The installer chooses the index; the hashes verify the content."""
    text = (ROOT / "requirements.lock").read_text("utf-8")

    assert not re.search(r"://|--index|--find-links|--extra", text)


@pytest.mark.parametrize("name", FIXED)
def test_versions_with_known_flaws_cannot_be_installed(name: str) -> None:
    """Neither by the ranges of pyproject.toml nor by the lock; nor are they here."""
    fixed = Version(FIXED[name][0])
    least = [
        Version(part.version) for part in wanted()[name].specifier if part.operator in {">=", "=="}
    ]

    assert max(least) >= fixed
    assert Version(locked()[name][0]) >= fixed
    assert Version(version(name)) >= fixed
