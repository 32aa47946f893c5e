# ruff: noqa: PLC0415 - what a command needs is imported when it runs, so that --help is quick
"""The `opslog` command; also `python -m opslog`.

Exit codes: 0 done, 1 not done, 2 wrong usage, 75 try again later, 78 wrong set-up, 130 Ctrl-C.
"""

import os
import signal
import sys
from typing import Annotated

import typer

from config.errors import OpslogError
from opslog import __version__
from opslog.cli import processes
from opslog.cli.evidence import dead_letters, hold, ledger, retention, segments, verify
from opslog.cli.options import ConfigOption
from opslog.cli.reading import export, search, stats, tail, trace
from opslog.cli.setup import demo, doctor, keys, migrate, redact, settings, token
from opslog.installation.opening import loaded

app = typer.Typer(
    name="opslog",
    help="A log backend for OpenTelemetry: durable before 200, redacted before disk.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog="Begin with `opslog up`, then `opslog demo` in a second terminal.",
)
INTERRUPTED = 130
_ACCESS, _SETUP, _RECORDS = "Access", "Set-up", "Records"
_READING = "Reading"
_PARTS = "Single processes, which `up` starts"


@app.command()
def up(
    *,
    with_parent: Annotated[
        bool,
        typer.Option("--with-parent", help="End in order when whoever started this is gone."),
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Start everything: PostgreSQL, Valkey, receivers, query server, worker, scheduler."""
    from opslog.cli.up import up as run
    from opslog.system.launch import die_with_parent

    if with_parent:
        die_with_parent(signal.SIGTERM, os.getppid())
    raise typer.Exit(run(loaded(config)))


@app.command()
def version() -> None:
    """Print the version."""
    print(f"opslog {__version__}")


app.command()(demo.demo)
app.command(rich_help_panel=_READING)(search.search)
app.command(rich_help_panel=_READING)(tail.tail)
app.command(rich_help_panel=_READING)(trace.trace)
app.command(rich_help_panel=_READING)(stats.stats)
app.command(rich_help_panel=_READING)(export.export)
app.command(rich_help_panel=_ACCESS)(token.token)
app.add_typer(keys.app, name="keys", rich_help_panel=_ACCESS)
app.command(rich_help_panel=_SETUP)(settings.config)
app.add_typer(migrate.app, name="migrate", rich_help_panel=_SETUP)
app.command(rich_help_panel=_SETUP)(doctor.doctor)
app.command(rich_help_panel=_SETUP)(redact.redact)
app.add_typer(ledger.app, name="ledger", rich_help_panel=_RECORDS)
app.command(rich_help_panel=_RECORDS)(verify.verify)
app.add_typer(dead_letters.app, name="dead-letters", rich_help_panel=_RECORDS)
app.add_typer(retention.app, name="retention", rich_help_panel=_RECORDS)
app.add_typer(hold.app, name="hold", rich_help_panel=_RECORDS)
app.command(rich_help_panel=_RECORDS)(segments.segments)
app.command(rich_help_panel=_PARTS)(processes.receiver)
app.command(rich_help_panel=_PARTS)(processes.query)
app.command(rich_help_panel=_PARTS)(processes.worker)
app.command(rich_help_panel=_PARTS)(processes.scheduler)


@app.callback(invoke_without_command=True)
def _main(
    context: typer.Context,
    *,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if show_version:
        version()
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)


def main() -> None:
    """Runs the command line; every error that has words is told in one piece, without a trace."""
    try:
        app(standalone_mode=True)
    except OpslogError as error:
        sys.stderr.write(f"opslog: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # `opslog … | head`: quietly, and not again when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the edge of the process
        _report_defect(error)
        sys.exit(1)


def _report_defect(error: Exception) -> None:
    """A fault of ours: where and what, without values that Python would print along."""
    import logging

    if logging.getLogger().handlers:  # a process with a log
        logging.getLogger("opslog").critical("ended by a defect", exc_info=error)
        return
    from config.process.logs import exception_text

    sys.stderr.write(f"opslog: a defect, please report it:\n{exception_text(error)}\n")


if __name__ == "__main__":
    main()
