"""`make test-upgrade`: an installation of an older commit, killed, is continued by this one.

    python -m tests.faults.upgrade --since 6d19519

The old commit is checked out and installed beside this one. It stores records of every level under
a legal hold and with an ingest key, carries held records over from a segment that expires, and is
killed with segments that are open, closed and sealed (or packed), with an exported ledger, queued
jobs, and acknowledged records in its spool while PostgreSQL is stopped. This commit is started on the
same data directory and must store everything exactly once and pack all that is closed; ledger,
export, hold, held records and key must be as they were. Where the schema has changed, the old commit
must refuse to start again and say why. Prints one line a check; the exit code is 1 when one failed.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.rounds import packs_of
from tests.support.faults import judge
from tests.support.product import Product
from tests.support.product_records import numbered
from tests.support.senders import Senders

ROOT = Path(__file__).resolve().parents[2]
RECORDS, SPOOLED, HELD = 20_000, 2_000, 12_000
SETTINGS = {"OPSLOG_STORAGE__SEGMENT_ROWS": "2000"}
INSTALL_S = 1200
HOLD = "actorId:u-1 sourceModule:held"
EXPIRE = """
UPDATE segments SET min_received_at = min_received_at - interval '800 days',
       max_received_at = max_received_at - interval '800 days'
 WHERE class = 'info' AND state IN ('closed', 'sealed') RETURNING segment
"""


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
        product.command("hold", "add", "case-1", HOLD, reason, "upgrade")
        product.command("keys", "create", "till")
        held = carried_over(product)
        check(f"the old commit has carried {len(held)} held records over", bool(held))
        with Senders(product.otlp_url, "upgrade") as senders:
            product.wait(lambda: acknowledged(senders) >= RECORDS, 120)
            product.wait(lambda: stored(product, "upgrade") >= RECORDS, 120)
            product.wait(lambda: states(product) & {"sealed", "packed"}, 120)
            jobs = [pid for name in ("worker", "packer") for pid in product.pids(f"opslog {name}")]
            for pid in jobs:
                os.kill(pid, signal.SIGSTOP)
            product.wait(lambda: "closed" in states(product), 120)
            check(f"there are segments of each kind: {sorted(states(product))}", True)
            evidence = folder / "evidence.jsonl"
            product.command("ledger", "export", str(evidence))
            postgres = product.kill("postgres", signal.SIGSTOP)
            for pid in jobs:
                os.kill(pid, signal.SIGCONT)
            waiting = acknowledged(senders) + SPOOLED
            product.wait(lambda: acknowledged(senders) >= waiting, 120)
            senders.stop()
        product.kill_all(stopped=postgres)
        product.python = sys.executable
        product.start()
        verdict = judge(product, senders)
        check(f"{verdict.acknowledged} acknowledged records are stored once", verdict.is_good)
        check("jobs queued before the upgrade run", jobs_run(product))
        verdict = judge(product, senders)
        check("… and once when all of them are packed", verdict.is_good)
        rows = numbered(product, "held")
        check("the held records are kept once", held <= set(rows) and len(rows) == len(set(rows)))
        check("opslog verify", product.run("verify").returncode in {0, 2})
        check("opslog packs verify --full", packs_of(product) == "all packs are intact")
        verifier = folder / "verify.py"
        verifier.write_text(product.command("ledger", "verifier"))
        key = product.command("ledger", "key").strip()
        command = [sys.executable, str(verifier), str(evidence), "--key", key]
        check("the old ledger export", subprocess.run(command, check=False).returncode in {0, 2})
        check("the legal hold", "case-1" in product.command("hold", "list"))
        check("the ingest key", "till" in product.command("keys", "list"))
        check(
            "the old commit refuses the new schema, and says why", is_refused(product, old_python)
        )
    finally:
        product.stop()
    return failed


def carried_over(product: Product) -> set[tuple[int, int]]:
    """Let a segment expire of which some records are held; their numbers."""
    with Senders(product.otlp_url, "held") as senders:
        product.wait(lambda: acknowledged(senders) >= HELD, 120)
        product.wait(lambda: stored(product, "held") >= HELD, 120)
        senders.stop()
    settled = "SELECT count(*) FROM segments WHERE class = 'info' AND state IN ('closed', 'sealed')"
    product.wait(lambda: product.sql(settled)[0][0], 120)
    product.sql(EXPIRE)
    product.command("retention", "run")
    rows = product.sql(
        "SELECT (metadata->'attributes'->>'load.client')::int,"
        " (metadata->'attributes'->>'load.n')::int FROM system_logs AS l JOIN segments USING (segment)"
        " WHERE is_hold AND l.source_module = 'held' AND l.actor_id = 'u-1'"
    )
    return {(client, n) for client, n in rows}


def states(product: Product) -> set[str]:
    """States of the segments with rows."""
    return {state for (state,) in product.sql("SELECT DISTINCT state FROM segments WHERE rows > 0")}


def is_refused(product: Product, old_python: str) -> bool:
    """Whether the old commit does not start on a schema that it does not know, with advice."""
    known = subprocess.run(
        [old_python, "-P", "-c", _KNOWN], capture_output=True, text=True, check=True
    )
    newest = product.sql("SELECT max(number) FROM schema_migrations")[0][0]
    product.stop()
    if int(known.stdout) == newest:
        return True
    product.python = old_python
    try:
        product.start()
    except RuntimeError as error:
        advice = "install the opslog that migrated it"
        print("\n".join(line for line in str(error).splitlines() if advice in line))
        return advice in str(error)
    finally:
        product.kill_all() if product.is_running else None
        product.python = sys.executable
    return False


_KNOWN = "from storage.database.migrate import bundled; print(bundled()[-1].number)"


def acknowledged(senders: Senders) -> int:
    """Records whose sender has read 200."""
    return len(senders.acknowledged)


def stored(product: Product, run: str) -> int:
    """Rows of these senders in leaves, and in all packs that the old commit may have made."""
    rows = "SELECT count(*) FROM system_logs WHERE source_module = '{run}'"
    packed = "SELECT coalesce(sum(rows), 0) FROM segments WHERE state = 'packed'"
    return int(product.sql(rows.format(run=run))[0][0] + product.sql(packed)[0][0])


def jobs_run(product: Product) -> bool:
    """Whether the worker, whose queue was written by the old commit, processes closed segments."""
    closed = "SELECT count(*) FROM segments WHERE state IN ('closed', 'sealed') AND rows > 0"
    try:
        product.wait(lambda: product.sql(closed)[0][0] == 0, 180)
    except AssertionError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
