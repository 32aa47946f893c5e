"""Compiled modules replace exactly the sources that they were built from."""

import json
import sys
from pathlib import Path

import pytest

from opslog import compiled

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def built(tmp_path):
    """Packages with one source and its compiled module."""
    source = tmp_path / "package" / "stage.py"
    source.parent.mkdir()
    source.write_text("answer = 42\n")
    folder = compiled.folder_of(tmp_path)
    folder.mkdir(parents=True)
    (folder / "package.stage.so").write_bytes(b"")
    (folder / compiled.MANIFEST).write_text(
        json.dumps(
            {
                "built_with": compiled.built_with(),
                "files": {"package.stage": "package.stage.so"},
                "sources": {"package.stage": compiled.sum_of(source)},
            }
        )
    )
    return tmp_path


def found(root):
    return compiled.files_in(compiled.folder_of(root), root)


def test_modules_built_from_these_sources_are_used(built):
    (file,) = found(built).values()
    assert compiled.modules_in(compiled.folder_of(built)) == ["package.stage"]

    spec = compiled.CompiledFinder({"package.stage": file}).find_spec("package.stage", None)

    assert spec is not None
    assert spec.origin == str(file)
    assert compiled.CompiledFinder({}).find_spec("package.stage", None) is None


@pytest.mark.parametrize(
    "change", ["edited", "gone", "other python", "other librt", "no file", "torn manifest"]
)
def test_modules_built_from_others_are_not(built, change):
    folder = compiled.folder_of(built)
    manifest = folder / compiled.MANIFEST
    if change == "edited":
        (built / "package/stage.py").write_text("answer = 43\n")
    elif change == "gone":
        (built / "package/stage.py").unlink()
    elif change == "other python":
        content = json.loads(manifest.read_text())
        manifest.write_text(
            json.dumps({**content, "built_with": ["cpython-1", content["built_with"][1]]})
        )
    elif change == "other librt":
        content = json.loads(manifest.read_text())
        manifest.write_text(json.dumps({**content, "built_with": [compiled.tag(), "0" * 64]}))
    elif change == "no file":
        (folder / "package.stage.so").unlink()
    else:
        manifest.write_text("{")

    assert found(built) == {}


def test_finders_are_installed_once_and_never_half(built, monkeypatch):
    monkeypatch.setattr(sys, "meta_path", [])
    monkeypatch.setenv(compiled.PURE, "1")
    compiled.install(built)
    assert not compiled.in_use()

    monkeypatch.delenv(compiled.PURE)
    monkeypatch.setitem(sys.modules, "package.stage", compiled)
    compiled.install(built)
    assert not compiled.in_use()

    monkeypatch.delitem(sys.modules, "package.stage")
    compiled.install(built)
    compiled.install(built)
    assert compiled.in_use()
    assert len(sys.meta_path) == 1


def test_this_run_uses_the_expected_modules():
    from storage.record import canonical

    is_compiled = canonical.__file__.endswith((".so", ".pyd"))

    assert is_compiled == compiled.in_use()
