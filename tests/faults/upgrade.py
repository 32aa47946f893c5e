"""`make test-upgrade`: an installation of an older commit, killed, is continued by this one.

    python -m tests.faults.upgrade --since 6d19519

The old commit is checked out and installed beside this one. It stores records of every level under
a legal hold and with an ingest key, rolls segments over, exports its ledger, queues its jobs, and is
killed with acknowledged records in its spool while PostgreSQL is stopped. This commit is started on
the same data directory and must store everything exactly once; ledger, export, hold and key must be
as they were. Prints one line a check; the exit code is 1 when one failed.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.faults import judge
from tests.support.product import Product
from tests.support.senders import Senders

ROOT = Path(__file__).resolve().parents[2]
RECORDS, SPOOLED = 20_000, 2_000
SETTINGS = {"OPSLOG_STORAGE__SEGMENT_ROWS": "2000"}
INSTALL_S = 1200


def main() -> int:
    """Run all checks; 0 when all passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--since", required=True, help="the older commit")
    parser.add_argument("--python", help="interpreter of an installation of it, if there is one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="opslog-upgrade-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o711)
        with installed(options.since, options.python, folder) as python:
            failed = upgrade(python, folder)
    return 1 if failed else 0


@contextmanager
def installed(commit: str, python: str | None, folder: Path) -> Iterator[str]:
    """The interpreter of an environment with that commit."""
    if python is not None:
        yield python
        return
    tree = folder / "old"
    subprocess.run(["git", "worktree", "add", "--detach", tree, commit], cwd=ROOT, check=True)
    try:
        subprocess.run(["make", "-C", tree, "install"], check=True, timeout=INSTALL_S)
        yield str(tree / ".venv/bin/python")
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=False)


def upgrade(old_python: str, folder: Path) -> list[str]:
    """Names of the checks that failed."""
    product = Product(folder, dict(SETTINGS))
    product.python = old_python
    product.start()
    failed: list[str] = []

    def check(name: str, holds: bool) -> None:
        print(f"{'ok    ' if holds else 'FAILED'}  {name}", flush=True)
        if not holds:
            failed.append(name)

    try:
        reason = "--reason" if "--reason" in product.command("hold", "add", "--help") else "--why"
        product.command("hold", "add", "case-1", "level:ERROR", reason, "upgrade")
        product.command("keys", "create", "till")
        with Senders(product.otlp_url, "upgrade") as senders:
            product.wait(lambda: acknowledged(senders) >= RECORDS, 120)
            product.wait(lambda: stored(product) >= RECORDS, 120)
            evidence = folder / "evidence.jsonl"
            product.command("ledger", "export", str(evidence))
            postgres = product.kill("postgres", signal.SIGSTOP)
            waiting = acknowledged(senders) + SPOOLED
            product.wait(lambda: acknowledged(senders) >= waiting, 120)
            senders.stop()
        product.kill_all(stopped=postgres)
        product.python = sys.executable
        product.start()
        verdict = judge(product, senders)
        check(f"{verdict.acknowledged} acknowledged records are stored once", verdict.is_good)
        check("opslog verify", product.run("verify").returncode in {0, 2})
        verifier = folder / "verify.py"
        verifier.write_text(product.command("ledger", "verifier"))
        key = product.command("ledger", "key").strip()
        command = [sys.executable, str(verifier), str(evidence), "--key", key]
        check("the old ledger export", subprocess.run(command, check=False).returncode in {0, 2})
        check("the legal hold", "case-1" in product.command("hold", "list"))
        check("the ingest key", "till" in product.command("keys", "list"))
        check("jobs queued before the upgrade run", jobs_run(product))
    finally:
        product.stop()
    return failed


def acknowledged(senders: Senders) -> int:
    """Records whose sender has read 200."""
    return len(senders.acknowledged)


def stored(product: Product) -> int:
    """Rows of the senders."""
    return int(product.sql("SELECT count(*) FROM system_logs WHERE kind = 'l'")[0][0])


def jobs_run(product: Product) -> bool:
    """Whether the worker, whose queue was written by the old commit, processes closed segments."""
    closed = "SELECT count(*) FROM segments WHERE state = 'closed'"
    try:
        product.wait(lambda: product.sql(closed)[0][0] == 0, 180)
    except AssertionError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
