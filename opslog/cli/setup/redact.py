# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""`opslog redact`: redacts standard input to standard output with this installation's rules."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated

import typer

from opslog.cli.options import ConfigOption, echo_err
from opslog.installation.opening import open_installation

_BLOCK_BEGINS, _BLOCK_ENDS = "-----BEGIN ", "-----END "
_LONGEST_BLOCK_LINES = 400
"""A PEM block that does not end within this many lines is written as it is."""


def redact(
    *,
    quiet: Annotated[bool, typer.Option(help="Do not print the counts to standard error.")] = False,
    config: ConfigOption = None,
) -> None:
    """Redact secrets in text, with the same rules as records.

    At the end, counts by rule are printed to standard error. Nothing is stored.

        journalctl -u checkout | opslog redact > shareable.txt
    """
    from opslog.wiring.redaction import redactor_of

    redactor = redactor_of(open_installation(config))
    if sys.stdin.isatty():
        echo_err("paste the text, then press Ctrl-D")
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
    """Lines, with a PEM block as one piece, since it can only be recognised as a whole."""
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
