# ruff: noqa: PLC0415 - what a command needs is imported when it runs, so that --help is quick
"""What the commands that read records share: options, address, how lines are written."""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from opslog.cli.options import echo_err

if TYPE_CHECKING:
    from opslog.client.record_lines import Record

UrlOption = Annotated[
    str, typer.Option("--url", envvar="OPSLOG_URL", help="API to ask; default: what runs here.")
]
TokenOption = Annotated[
    str, typer.Option("--token", envvar="OPSLOG_TOKEN", help="Token; default: one made here.")
]
ExitCodeOption = Annotated[
    bool, typer.Option("--exit-code", help="End with 1 when nothing is found.")
]
ProfileOption = Annotated[
    str,
    typer.Option(
        "--profile", envvar="OPSLOG_PROFILE", help="Address and token kept in profiles.toml."
    ),
]
QueryArgument = Annotated[
    list[str] | None, typer.Argument(help="The search language, see docs/query-language.md.")
]
SinceOption = Annotated[str, typer.Option("--since", help="Not before: 1h, 7d, or RFC 3339.")]
UntilOption = Annotated[str, typer.Option("--until", help="Before this time; default: now.")]
LevelOption = Annotated[
    str, typer.Option("--level", help="This level or a more severe one: warn, error, …")
]
ExcludeOption = Annotated[
    list[str] | None, typer.Option("--exclude", help="Leave out what this finds; repeatable.")
]
OutputOption = Annotated[
    Literal["default", "raw", "jsonl", "csv"], typer.Option("-o", "--output", help="Form of lines.")
]
ColourOption = Annotated[
    bool | None, typer.Option("--color/--no-color", help="Colours; default: on a terminal.")
]


def query_of(words: list[str] | None, exclude: list[str] | None) -> str:
    """One query out of the words of a command line."""
    parts = [" ".join(words or [])]
    if exclude and parts[0]:
        parts = [f"({parts[0]})"]
    return " ".join([*filter(None, parts), *(f"-({text})" for text in exclude or [])])


def pairs_of(
    query: str, *, since: str = "", until: str = "", level: str = ""
) -> list[tuple[str, str]]:
    """The parameters of a query."""
    given = {"q": query, "start": _time(since), "end": _time(until), "minLevel": level.upper()}
    return [(name, value) for name, value in given.items() if value]


def _time(text: str) -> str:
    """`1h` is an hour ago."""
    return f"-{text}" if text[:1].isdigit() and text[-1:].isalpha() and text[-1] != "Z" else text


def has_colour(*, wanted: bool | None = None) -> bool:
    """Whether lines are coloured."""
    if wanted is not None:
        return wanted
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def writer(output: str, *, colour: bool) -> "Callable[[Record], None]":
    """What writes a record to standard output."""
    from opslog.client.record_lines import CSV_HEAD, FORMATS, default_line

    form = FORMATS.get(output)
    if output == "csv":
        print(CSV_HEAD)

    def write(record: "Record") -> None:
        print(default_line(record, colour=colour) if form is None else form(record), flush=True)

    return write


def print_notes(page: dict[str, Any]) -> None:
    """What an answer has to echo_err besides its records, on standard error."""
    if page.get("notice"):
        echo_err(f"note: {page['notice']}")
    if page.get("partial"):
        echo_err(f"note: {page['partial']['detail']}")
