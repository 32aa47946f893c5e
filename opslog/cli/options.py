# ruff: noqa: PLC0415 - what a command needs is imported when it runs, so that --help is quick
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
        "--config", help="Settings file; else OPSLOG_CONFIG, ./opslog.toml, the data directory's."
    ),
]


def amount(parse: Callable[[str], N], text: str, option: str) -> N | None:
    """A duration or a size; None where the option was not given. Another text is wrong usage."""
    from config.errors import SetupError

    try:
        return parse(text) if text else None
    except SetupError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def echo_err(line: str) -> None:
    """A line for people: standard error, since standard output belongs to the answer."""
    sys.stderr.write(line + "\n")
