"""docs/architecture.md lists the layers that .importlinter enforces."""

import configparser
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text("utf-8")


def contracts() -> dict[str, list[list[str]]]:
    """Return the layers of each package, top to bottom."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    return {
        section["containers"]: [
            re.findall(r"\w+", line) for line in section["layers"].strip().splitlines()
        ]
        for section in map(parser.__getitem__, parser.sections())
        if "containers" in section
    }


@pytest.mark.parametrize("package", sorted(set(contracts()) - {"config"}))
def test_the_page_has_every_package_in_order(package: str) -> None:
    """Each package of a contract is in the table, those above others first."""
    table = PAGE.partition(f"| `{package}` | |\n")[2].partition("\n\n")[0]
    rows = [re.findall(r"`(\w+)`", line.split("|")[1]) for line in table.splitlines()[1:]]
    place = {name: number for number, row in enumerate(rows) for name in row}
    layers = [
        [name for name in layer if (ROOT / package / name).is_dir()]
        for layer in contracts()[package]
    ]

    assert {name for layer in layers for name in layer} <= set(place)
    highest = -1
    for layer in filter(None, layers):
        assert min(place[name] for name in layer) > highest, layer
        highest = max(place[name] for name in layer)
