"""Compiled modules stand in for their sources, and never for others."""

import json
import sys
from pathlib import Path

import pytest

from opslog import compiled

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def built(tmp_path):
    """Rooms with one source and what was made of it."""
    source = tmp_path / "room" / "stage.py"
    source.parent.mkdir()
    source.write_text("answer = 42\n")
    folder = compiled.folder_of(tmp_path)
    folder.mkdir(parents=True)
    (folder / "room.stage.so").write_bytes(b"")
    (folder / compiled.MANIFEST).write_text(
        json.dumps(
            {
                "built_with": compiled.built_with(),
                "files": {"room.stage": "room.stage.so"},
                "sources": {"room.stage": compiled.sum_of(source)},
            }
        )
    )
    return tmp_path


def found(rooms):
    return compiled.files_in(compiled.folder_of(rooms), rooms)


def test_what_was_made_of_these_sources_is_used(built):
    (file,) = found(built).values()
    assert compiled.modules_in(compiled.folder_of(built)) == ["room.stage"]

    spec = compiled.CompiledFinder({"room.stage": file}).find_spec("room.stage", None)

    assert spec is not None
    assert spec.origin == str(file)
    assert compiled.CompiledFinder({}).find_spec("room.stage", None) is None


@pytest.mark.parametrize(
    "change", ["edited", "gone", "other python", "other librt", "no file", "torn manifest"]
)
def test_what_was_made_of_others_is_not(built, change):
    folder = compiled.folder_of(built)
    manifest = folder / compiled.MANIFEST
    if change == "edited":
        (built / "room/stage.py").write_text("answer = 43\n")
    elif change == "gone":
        (built / "room/stage.py").unlink()
    elif change == "other python":
        told = json.loads(manifest.read_text())
        manifest.write_text(
            json.dumps({**told, "built_with": ["cpython-1", told["built_with"][1]]})
        )
    elif change == "other librt":
        told = json.loads(manifest.read_text())
        manifest.write_text(json.dumps({**told, "built_with": [compiled.tag(), "0" * 64]}))
    elif change == "no file":
        (folder / "room.stage.so").unlink()
    else:
        manifest.write_text("{")

    assert found(built) == {}


def test_finders_are_installed_once_and_never_half(built, monkeypatch):
    monkeypatch.setattr(sys, "meta_path", [])
    monkeypatch.setenv(compiled.PURE, "1")
    compiled.install(built)
    assert not compiled.in_use()

    monkeypatch.delenv(compiled.PURE)
    monkeypatch.setitem(sys.modules, "room.stage", compiled)
    compiled.install(built)
    assert not compiled.in_use()

    monkeypatch.delitem(sys.modules, "room.stage")
    compiled.install(built)
    compiled.install(built)
    assert compiled.in_use()
    assert len(sys.meta_path) == 1


def test_this_run_uses_the_expected_modules():
    from storage.record import canonical

    is_compiled = canonical.__file__.endswith((".so", ".pyd"))

    assert is_compiled == compiled.in_use()
