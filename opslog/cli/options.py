# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""Options that several commands share."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

N = TypeVar("N", int, float)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="Settings file; default: $OPSLOG_CONFIG, ./opslog.toml, or the data directory's.",
    ),
]


def amount(parse: Callable[[str], N], text: str, option: str) -> N | None:
    """A duration or size; None without the option. Invalid text is a usage error."""
    from config.errors import SetupError

    try:
        return parse(text) if text else None
    except SetupError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def echo_err(line: str) -> None:
    """Print a message to standard error; standard output is for results."""
    sys.stderr.write(line + "\n")
