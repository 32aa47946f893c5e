# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""`opslog doctor`: problems of the installation, with reasons and fixes."""

import typer

from opslog.cli.options import ConfigOption
from opslog.installation.opening import loaded


def doctor(config: ConfigOption = None) -> None:
    """Check ports, disk, clock, accounts, packages and database. Exit code 1 on a problem."""
    from opslog.doctor.machine import examine

    findings = examine(loaded(config))
    for finding in findings:
        mark = "ok    " if finding.is_fine else "ERROR " if finding.is_problem else "advice"
        print(f"{mark}  {finding.what}")
        if not finding.is_fine:
            if finding.reason:
                print(f"        reason: {finding.reason}")
            print(f"        fix: {finding.fix}")
    if any(finding.is_problem for finding in findings):
        raise typer.Exit(1)
