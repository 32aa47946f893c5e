# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
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
    """The settings; exits with 78 and a message if they are invalid."""
    from config.loading.load import load_or_exit

    return load_or_exit(config)


def open_installation(config: Path | None) -> "Installation":
    """The installation of the settings, with its folders created."""
    from opslog.installation.installation import Installation

    found = Installation(loaded(config).settings)
    found.make_folders()
    return found


def command_name() -> str:
    """The command to type for this opslog: its path, unless PATH finds it as `opslog`."""
    ours, found = Path(sys.executable).with_name("opslog"), shutil.which("opslog")
    if not ours.exists() or (found and Path(found).resolve() == ours.resolve()):
        return "opslog"
    return shlex.quote(str(ours))
