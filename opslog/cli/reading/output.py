# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""Shared options and output of the commands that read records."""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from opslog.cli.options import echo_err

if TYPE_CHECKING:
    from opslog.client.record_lines import Record

UrlOption = Annotated[
    str, typer.Option("--url", envvar="OPSLOG_URL", help="API address; default: the local opslog.")
]
TokenOption = Annotated[
    str, typer.Option("--token", envvar="OPSLOG_TOKEN", help="API token; default: a local one.")
]
ExitCodeOption = Annotated[
    bool, typer.Option("--exit-code", help="Exit with 1 if nothing matches.")
]
ProfileOption = Annotated[
    str,
    typer.Option(
        "--profile", envvar="OPSLOG_PROFILE", help="Use address and token from profiles.toml."
    ),
]
QueryArgument = Annotated[
    list[str] | None, typer.Argument(help="Search query, see docs/query-language.md.")
]
SinceOption = Annotated[str, typer.Option("--since", help="Start: 1h, 7d, or RFC 3339.")]
UntilOption = Annotated[
    str, typer.Option("--until", help="End (exclusive); default: one day from now.")
]
LevelOption = Annotated[str, typer.Option("--level", help="Minimum level: warn, error, …")]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option("--exclude", help="Exclude records that match this query; repeatable."),
]
OutputOption = Annotated[
    Literal["default", "raw", "jsonl", "csv"], typer.Option("-o", "--output", help="Output format.")
]
ColourOption = Annotated[
    bool | None, typer.Option("--color/--no-color", help="Coloured output; default: on a terminal.")
]


def query_of(words: list[str] | None, exclude: list[str] | None) -> str:
    """The query from the arguments of a command line."""
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
    """An API time; `1h` means an hour ago."""
    return f"-{text}" if text[:1].isdigit() and text[-1:].isalpha() and text[-1] != "Z" else text


def has_colour(*, wanted: bool | None = None) -> bool:
    """Whether to colour lines."""
    if wanted is not None:
        return wanted
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def writer(output: str, *, colour: bool) -> "Callable[[Record], None]":
    """A function that writes a record to standard output."""
    from opslog.client.record_lines import CSV_HEAD, FORMATS, default_line

    form = FORMATS.get(output)
    if output == "csv":
        print(CSV_HEAD)

    def write(record: "Record") -> None:
        print(default_line(record, colour=colour) if form is None else form(record), flush=True)

    return write


def print_notes(page: dict[str, Any]) -> None:
    """Print the notes of a response to standard error."""
    if page.get("notice"):
        echo_err(f"note: {page['notice']}")
    if page.get("partial"):
        echo_err(f"note: {page['partial']['detail']}")


def print_explanation(explain: dict[str, Any]) -> None:
    """Print what a query read and skipped (`explain=true`) to standard error."""
    segments, blocks, rows = explain["segments"], explain["blocks"], explain["rows"]
    read = segments["leavesRead"] + segments["packsRead"]
    kinds = f"{_count(segments['leavesRead'], 'table')}, {_count(segments['packsRead'], 'pack')}"
    lines = [
        f"segments: {read:,} of {segments['considered']:,} read ({kinds}){_skipped(segments)}",
        f"blocks: {blocks['read']:,} of {blocks['considered']:,} read{_skipped(blocks)}",
        f"rows: {rows['scanned']:,} scanned, {rows['found']:,} found",
        *(
            f"{name}: {_milliseconds(explain[key])}"
            for name, key in (("stages", "stagesMs"), ("request", "requestMs"))
            if explain[key]
        ),
    ]
    for line in lines:
        echo_err(f"explain: {line}")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _skipped(part: dict[str, Any]) -> str:
    reasons = [f"{count:,} by {why}" for why, count in part["skipped"].items()]
    return f"; skipped {', '.join(reasons)}" if reasons else ""


def _milliseconds(times: dict[str, float]) -> str:
    return ", ".join(f"{name} {spent:.1f} ms" for name, spent in times.items())
