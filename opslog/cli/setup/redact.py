# ruff: noqa: PLC0415 - what a command needs is imported when it runs, so that --help is quick
"""`opslog redact`: the redaction of this installation, from standard input to standard output."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated

import typer

from opslog.cli.options import ConfigOption, echo_err
from opslog.installation.opening import open_installation

_BLOCK_BEGINS, _BLOCK_ENDS = "-----BEGIN ", "-----END "
_LONGEST_BLOCK_LINES = 400
"""A key that does not end within these lines is let go of: nothing waits for ever."""


def redact(
    *,
    quiet: Annotated[
        bool, typer.Option(help="Do not tell on standard error what was hidden.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Hide secrets in text, line by line, with the rules that records go through.

    Counts by rule go to standard error in the end. Nothing is stored.

        journalctl -u checkout | opslog redact > shareable.txt
    """
    from opslog.wiring.redaction import redactor_of

    redactor = redactor_of(open_installation(config))
    if sys.stdin.isatty():
        echo_err("paste the text here; Ctrl-D ends it")
    counts: Counter[str] = Counter()
    sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]
    for piece in pieces(sys.stdin):
        safe, hits = redactor.text(piece)
        counts.update(dict(hits))
        sys.stdout.write(safe)
        sys.stdout.flush()
    if not quiet:
        for rule, count in sorted(counts.items()):
            print(f"{rule}: {count}", file=sys.stderr)


def pieces(lines: Iterable[str]) -> Iterator[str]:
    """Lines, but a PEM block as one piece: its lines mean nothing alone."""
    block: list[str] = []
    for line in lines:
        if block or (_BLOCK_BEGINS in line and _BLOCK_ENDS not in line):
            block.append(line)
            if _BLOCK_ENDS not in line and len(block) < _LONGEST_BLOCK_LINES:
                continue
            yield "".join(block)
            block = []
        else:
            yield line
    if block:
        yield "".join(block)
