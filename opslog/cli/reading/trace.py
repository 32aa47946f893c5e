# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""`opslog trace`: the tree of a trace, with its errors and logs."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from opslog.cli.options import ConfigOption, echo_err
from opslog.cli.reading.output import (
    ColourOption,
    ExitCodeOption,
    OutputOption,
    ProfileOption,
    TokenOption,
    UrlOption,
    has_colour,
    print_notes,
    writer,
)

if TYPE_CHECKING:
    from opslog.client.record_lines import Record

_MOST = 20_000


def trace(
    trace_id: Annotated[str, typer.Argument(help="Trace id, 32 hex digits.")],
    output: OutputOption = "default",
    *,
    exit_code: ExitCodeOption = False,
    color: ColourOption = None,
    url: UrlOption = "",
    token: TokenOption = "",
    profile: ProfileOption = "",
    config: ConfigOption = None,
) -> None:
    """Show a trace as a tree, or its records with `-o jsonl`.

    opslog trace 4bf92f3577b34da6a3ce929d0e0e4736
    """
    from opslog.client.api_client import api

    pages = list(api(url, token, config, profile).pages(f"/logs/trace/{trace_id}", [], _MOST))
    records = [record for page in pages for record in page["data"]]
    print_notes(pages[0])
    if not records:
        echo_err(f"note: no records of trace {trace_id}")
        raise typer.Exit(1 if exit_code else 0)
    if output != "default":
        write = writer(output, colour=has_colour(wanted=color))
        for record in records:
            write(record)
        return
    for line in _lines(pages[0]["trace"], records):
        print(line)


def _lines(summary: dict[str, Any], records: "list[Record]") -> list[str]:
    from opslog.client.record_lines import default_line, printable

    critical = {step["spanId"] for step in summary["criticalPath"]}
    lines = [
        f"trace {summary['traceId']}: {_ms(summary['durationNs'])}",
        f"{summary['spans']} spans, {summary['logs']} logs, {summary['errors']} errors",
        *(
            f"  {printable(item['service']):<24} {_ms(item['selfNs']):>12} {item['spans']:>6} spans"
            for item in summary["services"]
        ),
        "",
    ]
    for node in summary["tree"]:
        marks = ("*" if node["spanId"] in critical else " ") + ("!" if node["isError"] else " ")
        orphan = "  (parent missing)" if node["isOrphan"] else ""
        name = f"{'  ' * node['depth']}{printable(node['service'])}: {printable(node['operation'])}"
        lines.append(f"{marks} {_ms(node['durationNs']):>12}  {name}{orphan}")
    logs = [record for record in records if record["kind"] != "span"]
    return [*lines, *([""] if logs else []), *(default_line(item, colour=False) for item in logs)]


def _ms(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:,.2f} ms"
