# ruff: noqa: PLC0415 - what a command needs is imported when it runs, so that --help is quick
"""Options that several commands have, and how a command gets its installation."""

import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from config.load import Loaded
    from opslog.installation import Installation

N = TypeVar("N", int, float)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", help="Settings file; else OPSLOG_CONFIG, ./opslog.toml, the data directory's."
    ),
]


def loaded(config: Path | None) -> "Loaded":
    """The settings, or an exit with 78 that says what is wrong with them."""
    from config.load import load_or_exit

    return load_or_exit(config)


def installation(config: Path | None) -> "Installation":
    """The installation that the settings describe, its folders made."""
    from opslog.installation import Installation

    found = Installation(loaded(config).settings)
    found.make_folders()
    return found


def command_name() -> str:
    """What to type for this opslog: its path where PATH leads to none or to another one."""
    ours, found = Path(sys.executable).with_name("opslog"), shutil.which("opslog")
    if not ours.exists() or (found and Path(found).resolve() == ours.resolve()):
        return "opslog"
    return shlex.quote(str(ours))


def amount(parse: Callable[[str], N], text: str, option: str) -> N | None:
    """A duration or a size; None where the option was not given. Another text is wrong usage."""
    from config.errors import SetupError

    try:
        return parse(text) if text else None
    except SetupError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def say(line: str) -> None:
    """A line for people: standard error, since standard output belongs to the answer."""
    sys.stderr.write(line + "\n")
