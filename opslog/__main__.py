# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""The `opslog` command; also `python -m opslog`.

Exit codes: 0 success, 1 failure, 2 usage error, 75 temporary failure, 78 configuration error, 130
Ctrl-C.
"""

import os
import signal
import sys
from typing import Annotated

import typer

from config.errors import OpslogError
from opslog import __version__
from opslog.cli import processes
from opslog.cli.evidence import dead_letters, hold, ledger, packs, retention, segments, verify
from opslog.cli.options import ConfigOption
from opslog.cli.reading import export, search, stats, tail, trace
from opslog.cli.setup import demo, doctor, keys, migrate, redact, settings, token
from opslog.installation.opening import loaded

app = typer.Typer(
    name="opslog",
    help="OpenTelemetry log backend. Durable before it acknowledges, redacted before it stores.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog="Start with `opslog up`, then run `opslog demo` in a second terminal.",
)
INTERRUPTED = 130
_ACCESS, _SETUP, _STORE = "Access", "Setup", "Retention and integrity"
_READING = "Search"
_PROCESSES = "Single processes (started by `up`)"


@app.command()
def up(
    *,
    with_parent: Annotated[
        bool,
        typer.Option("--with-parent", help="Shut down cleanly when the parent process exits."),
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Start opslog: PostgreSQL, Valkey, receivers, query servers, worker, packers, scheduler."""
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
app.add_typer(ledger.app, name="ledger", rich_help_panel=_STORE)
app.command(rich_help_panel=_STORE)(verify.verify)
app.add_typer(dead_letters.app, name="dead-letters", rich_help_panel=_STORE)
app.add_typer(retention.app, name="retention", rich_help_panel=_STORE)
app.add_typer(hold.app, name="hold", rich_help_panel=_STORE)
app.command(rich_help_panel=_STORE)(segments.segments)
app.add_typer(packs.app, name="packs", rich_help_panel=_STORE)
app.command(rich_help_panel=_PROCESSES)(processes.receiver)
app.command(rich_help_panel=_PROCESSES)(processes.query)
app.command(rich_help_panel=_PROCESSES)(processes.worker)
app.command(rich_help_panel=_PROCESSES)(processes.packer)
app.command(rich_help_panel=_PROCESSES)(processes.scheduler)


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
    """Run the command line; expected errors are printed as one message, without a traceback."""
    try:
        app(standalone_mode=True)
    except OpslogError as error:
        sys.stderr.write(f"opslog: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # `opslog … | head`: silent, also when Python flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - last resort of the process
        _report_defect(error)
        sys.exit(1)


def _report_defect(error: Exception) -> None:
    """Report a bug: type and place, without the values that Python would print."""
    import logging

    if logging.getLogger().handlers:  # a process with a log
        logging.getLogger("opslog").critical("stopped by a bug", exc_info=error)
        return
    from config.process.logs import exception_text

    sys.stderr.write(f"opslog: internal error, please report it:\n{exception_text(error)}\n")


if __name__ == "__main__":
    main()
