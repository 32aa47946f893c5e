"""The scripts that install the tools of `make test`: on bare machines they report what is missing."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
TOOLS = ("sh", "tail", "dirname", "mktemp", "rm", "cat", "touch")
BARE = "#!/bin/sh\n"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder that is the whole PATH: root's, without a browser and without Node."""
    for name in TOOLS:
        where = shutil.which(name)
        assert where
        (tmp_path / name).symlink_to(where)
    has(tmp_path, "id", "echo 0")
    return tmp_path


def has(machine: Path, name: str, does: str) -> None:
    (machine / name).write_text(f"{BARE}{does}\n")
    (machine / name).chmod(0o755)


def run(machine: Path, script: str, **settings: str) -> tuple[int, str]:
    done = subprocess.run(
        [machine / "sh", SCRIPTS / script],
        env={"PATH": str(machine), **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


def test_an_installed_browser_is_used_silently(machine: Path) -> None:
    has(machine, "chromium", "exit 1")

    assert run(machine, "browser") == (0, "")


def test_root_installs_a_browser_with_apt_after_one_update(machine: Path) -> None:
    has(machine, "apt-get", f'echo "$@" >> {machine}/calls')

    assert run(machine, "browser")[0] == 0
    update, install = (machine / "calls").read_text().splitlines()
    assert update.endswith(" update")
    assert " install " in install
    assert " chromium" in install


@pytest.mark.parametrize(
    ("programs", "settings", "words"),
    [
        ({}, {}, "with your package manager"),
        ({"apt-get": "exit 0", "id": "echo 1000"}, {}, "sudo apt-get install chromium"),
        ({"apt-get": "echo E: no route; exit 100"}, {}, "E: no route"),
        ({}, {"CHROMIUM": "/nowhere/chromium"}, "/nowhere/chromium is not a program"),
    ],
)
def test_without_a_browser_a_notice_gives_advice(
    machine: Path, programs: dict[str, str], settings: dict[str, str], words: str
) -> None:
    for name, does in programs.items():
        has(machine, name, does)

    code, output = run(machine, "browser", **settings)

    assert code == 0
    assert "browser tests will be skipped" in output
    assert words in output


@pytest.mark.parametrize(
    ("programs", "words"),
    [
        ({}, "Node is not installed"),
        ({"npm": "", "node": '[ "$1" = --version ] && echo v18.20.4 || exit 1'}, "v18.20.4 is too"),
    ],
)
def test_without_node_the_viewer_is_skipped_with_a_notice(
    machine: Path, programs: dict[str, str], words: str
) -> None:
    for name, does in programs.items():
        has(machine, name, does)

    code, output = run(machine, "viewer")

    assert code == 0
    assert words in output
