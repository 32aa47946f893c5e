"""The settings: reference page, example and help texts."""

from pathlib import Path

import pytest

from config.loading.load import load
from config.loading.names import FIELDS
from opslog.docs.reference import PAGE, settings_page

EXAMPLE = Path(__file__).parents[2] / "opslog.example.toml"


def test_the_reference_page_is_in_step():
    """`make docs` regenerates it."""
    assert PAGE.read_text(encoding="utf-8") == settings_page()


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_has_a_text(name):
    """More than a word."""
    assert len(FIELDS[name].text) > 10


def test_the_example_changes_nothing_by_default(tmp_path):
    """Everything in it is a comment."""
    before, after = load({}), load({}, config=EXAMPLE)

    assert after.settings == before.settings


def test_the_uncommented_example_is_valid(tmp_path):
    """Uncommented, it is a valid file."""
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    names = {name.rpartition(".")[2] for name in FIELDS}
    shown = [
        line.removeprefix("# ") if line[2:].partition(" = ")[0] in names else line for line in lines
    ]
    file = tmp_path / "opslog.toml"
    file.write_text("\n".join(shown), encoding="utf-8")

    loaded = load({}, config=file)

    assert loaded.settings.otlp.host == "0.0.0.0"
    assert loaded.settings.auth.role_map == {"ops": "NOC", "developers": "MANAGER"}
    assert loaded.settings.spool.max_bytes == 8 * 2**30
