# ruff: noqa: PLC0415 - what a command needs is imported when it runs, so that --help is quick
"""`opslog doctor`: what may be wrong, why, and how to fix it."""

import typer

from opslog.cli.options import ConfigOption
from opslog.installation.opening import loaded


def doctor(config: ConfigOption = None) -> None:
    """Look at ports, disk, clock, accounts and packages. Exit code 1 when opslog cannot work."""
    from opslog.doctor.machine import examine

    findings = examine(loaded(config))
    for finding in findings:
        mark = "ok    " if finding.is_fine else "WRONG " if finding.is_problem else "advice"
        print(f"{mark}  {finding.what}")
        if not finding.is_fine:
            print(f"        why:  {finding.why}\n        fix: {finding.fix}")
    if any(finding.is_problem for finding in findings):
        raise typer.Exit(1)
