# ruff: noqa: PLC0415 - what a command needs is imported when it runs, so that --help is quick
"""How a command gets its settings and its installation."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.loading.load import Loaded
    from opslog.installation.installation import Installation


def loaded(config: Path | None) -> "Loaded":
    """The settings, or an exit with 78 that says what is wrong with them."""
    from config.loading.load import load_or_exit

    return load_or_exit(config)


def open_installation(config: Path | None) -> "Installation":
    """The installation that the settings describe, its folders made."""
    from opslog.installation.installation import Installation

    found = Installation(loaded(config).settings)
    found.make_folders()
    return found


def command_name() -> str:
    """What to type for this opslog: its path where PATH leads to none or to another one."""
    ours, found = Path(sys.executable).with_name("opslog"), shutil.which("opslog")
    if not ours.exists() or (found and Path(found).resolve() == ours.resolve()):
        return "opslog"
    return shlex.quote(str(ours))
