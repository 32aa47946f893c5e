"""`make test-faults-long`: kill -9, again and again, at moments that a printed seed decides.

    python -m tests.faults.rounds --rounds 200 --seed 7

One round kills one victim under load from eight senders, waits until requests are accepted again
and everything acknowledged is stored, and counts: acknowledged and not stored, stored twice, stored
and never sent, counters that are not balanced. One data directory serves all rounds; in the end the
whole ledger is verified with the stand-alone file. Prints a table for docs/reliability.md. The exit
code is 1 when a round failed; its number and the seed are printed.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median

from opslog import __version__
from storage.failpoints import PLACES
from tests.support.faults import Verdict, judge, ready_after
from tests.support.product import Product
from tests.support.senders import Senders

CLIENTS, BATCH, PAUSE_S = 8, 50, 0.03
INSTALLATION_EVERY = 8
"""Interval of rounds in which the whole installation is killed: a new supervisor starts its
children at once, where the old one would delay one that dies every few seconds."""
INSTALLATION, PLACE = "the whole group", "receiver, at a failpoint"
PACK_PLACE = "packer, at a failpoint"
CLEAN = "integrity: holds; completeness: holds; all packs are intact"
COLUMNS = (
    "killed", "rounds", "kills", "acknowledged", "lost", "twice", "never sent", "unbalanced",
    "accepts again: median, worst", "all stored: median, worst",
)  # fmt: skip
STAGES = [name for name in PLACES if name.split(".")[0] in {"spool", "writer", "ack", "recv"}]
RARE = {"spool.before_unlink"}
"""Places that are reached once a spool file."""
PACK_STAGES = [name for name in PLACES if name.split(".")[0] == "pack"]
NOT_REACHED = {"pack.before_unlink"}
"""Of a pack that was merged or has expired."""
SETTINGS = {
    "OPSLOG_SPOOL__FILE_BYTES": "1048576",
    "OPSLOG_STORAGE__SEGMENT_ROWS": "2000",
    "OPSLOG_STORAGE__PACK_MAX_LAG_S": "0",
}
"""Small files and segments, so that files change and segments roll over and are packed meanwhile."""


@dataclass
class Sum:
    """All rounds of one victim."""

    rounds: int = 0
    kills: int = 0
    acknowledged: int = 0
    lost: int = 0
    twice: int = 0
    unsent: int = 0
    unbalanced: int = 0
    ready_s: list[float] = field(default_factory=list)
    stored_s: list[float] = field(default_factory=list)

    def add(self, kills: int, verdict: Verdict, ready_s: float, stored_s: float) -> None:
        self.rounds += 1
        self.kills += kills
        self.acknowledged += verdict.acknowledged
        self.lost += verdict.lost
        self.twice += verdict.twice
        self.unsent += verdict.unsent
        self.unbalanced += bool(verdict.differences)
        self.ready_s.append(ready_s)
        self.stored_s.append(stored_s)


class Killer:
    """Kills each kind of victim; each method returns the number of kills."""

    def __init__(self, product: Product, chance: random.Random) -> None:
        self._product = product
        self._chance = chance
        self.killed_s = 0.0
        """When the last kill of the round was made (time.monotonic)."""
        self.victims: dict[str, Callable[[], int]] = {
            "receiver": self.receiver,
            "writer, in its transaction": self.writer,
            "PostgreSQL": self.postgres,
            "PostgreSQL's process of the writer": self.backend,
            "receiver and PostgreSQL at once": self.both,
            PLACE: self.place,
            "packer, writing a pack": self.packer,
            "PostgreSQL, while a pack is written": self.postgres_of_packer,
            PACK_PLACE: self.pack_place,
            INSTALLATION: self.installation,
        }

    def _kill(self, *pids: int) -> int:
        self.killed_s = time.monotonic()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return len(pids)

    def _pid(self, name: str) -> int:
        return self._product.wait(lambda: self._product.find(name), 30)

    def receiver(self) -> int:
        return self._kill(self._pid("receiver-0"))

    def postgres(self) -> int:
        return self._kill(self._pid("postgres"))

    def both(self) -> int:
        return self._kill(self._pid("receiver-0"), self._pid("postgres"))

    def writer(self) -> int:
        """The receiver, seen to be within a transaction of its writer."""
        pid = self._pid("receiver-0")
        self._product.wait(lambda: backend_of_writer(self._product), 30)
        time.sleep(self._chance.random() * 0.005)
        return self._kill(pid)

    def backend(self) -> int:
        """PostgreSQL ends all sessions when one of its processes is killed, and recovers."""
        return self._kill(self._product.wait(lambda: backend_of_writer(self._product), 30))

    def packer(self) -> int:
        """The packer and its job, somewhere between reading a segment and dropping its leaf."""
        self._await_pack()
        return self._kill(*self._product.pids("packer-0"))

    def postgres_of_packer(self) -> int:
        self._await_pack()
        return self.postgres()

    def _await_pack(self) -> None:
        packs = self._product.data_dir / "packs"
        self._product.wait(lambda: next(packs.glob("*/*.tmp"), None), 60)
        time.sleep(self._chance.random() * 0.5)

    def place(self) -> int:
        """The receiver kills itself at a failpoint; the installation is restarted before and after."""
        name = self._chance.choice(STAGES)
        return self._at(name, 1 if name in RARE else self._chance.randint(3, 60), _KILLED)

    def pack_place(self) -> int:
        """The same for the job of the packer, at the first segment that it packs."""
        stages = [name for name in PACK_STAGES if name not in NOT_REACHED]
        return self._at(self._chance.choice(stages), 1, _JOB_KILLED)

    def _at(self, name: str, nth: int, message: str) -> int:
        self._product.kill_all()
        self._product.environment["OPSLOG_FAILPOINTS"] = f"{name}=kill@{nth}"
        said = self._product.log.read_text(errors="replace").count(message)
        with suppress(RuntimeError):  # it may die before `opslog up` is ready
            self._product.start()
        self._product.wait(
            lambda: self._product.log.read_text(errors="replace").count(message) > said, 90
        )
        del self._product.environment["OPSLOG_FAILPOINTS"]
        kills = 2
        if self._product.is_running:
            self._product.kill_all()
            kills += 1
        self.killed_s = time.monotonic()
        self._product.start()
        return kills

    def installation(self) -> int:
        self._product.kill_all()
        # The last receiver has taken requests for some milliseconds after its supervisor's end.
        self.killed_s = time.monotonic()
        self._product.start()
        return 1


_KILLED = "(killed by SIGKILL)"
"""Of the supervisor's line; it differs when the receiver died before it was ready once."""
_JOB_KILLED = "Work-horse terminated unexpectedly"
"""Of the packer's line."""


def backend_of_writer(product: Product) -> int | None:
    """PostgreSQL's process of a writer that is in a transaction now."""
    found = product.sql(
        """SELECT pid FROM pg_stat_activity
            WHERE application_name = 'opslog-receiver-0' AND xact_start IS NOT NULL"""
    )
    return found[0][0] if found else None


_is_enough = threading.Event()


def main() -> int:
    """Run the rounds; the exit code. The first Ctrl-C ends with the running round, and the table."""
    signal.signal(signal.SIGINT, _on_interrupt)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=200, help="one kill at least each (default 200)"
    )
    parser.add_argument("--seed", type=int, default=0, help="default: one is drawn, and printed")
    chosen = parser.parse_args()
    seed = chosen.seed or random.SystemRandom().randrange(1, 10**6)
    print(f"seed {seed}, {chosen.rounds} rounds", flush=True)
    with Product.running(**SETTINGS) as product:
        sums, bad = play(product, chosen.rounds, seed)
        verified = verify(product)
    print(table(sums, seed, verified))
    for line in bad:
        print(f"BROKEN: {line} (seed {seed})")
    return 1 if bad or verified != CLEAN else 0


def _on_interrupt(*_: object) -> None:
    if _is_enough.is_set():
        raise KeyboardInterrupt
    _is_enough.set()


def play(product: Product, rounds: int, seed: int) -> tuple[dict[str, Sum], list[str]]:
    """Run all rounds; returns sums by victim, and the failures."""
    chance = random.Random(seed)
    killer = Killer(product, chance)
    sums: dict[str, Sum] = {name: Sum() for name in killer.victims}
    alone = [name for name in killer.victims if name not in {INSTALLATION, PLACE, PACK_PLACE}]
    bad = []
    for number in range(1, rounds + 1):
        if _is_enough.is_set():
            print("stopping", flush=True)
            break
        turn = number % INSTALLATION_EVERY
        victim = (
            INSTALLATION
            if turn == 0
            else PLACE
            if turn == INSTALLATION_EVERY // 2
            else PACK_PLACE
            if turn == INSTALLATION_EVERY - 2
            else chance.choice(alone)
        )
        verdict, kills, ready_s, stored_s = play_one(product, killer, victim, number, chance)
        sums[victim].add(kills, verdict, ready_s, stored_s)
        print(
            f"{number:>4} {victim:<36} acknowledged {verdict.acknowledged:>7,}"
            f"  accepts after {ready_s:5.1f} s, all stored after {stored_s:5.1f} s"
            f"  {'ok' if verdict.is_good else verdict}",
            flush=True,
        )
        if not verdict.is_good:
            bad.append(f"round {number}, {victim}: {verdict}")
    return sums, bad


def play_one(
    product: Product, killer: Killer, victim: str, number: int, chance: random.Random
) -> tuple[Verdict, int, float, float]:
    """Verdict, kills, seconds until requests were accepted, until everything was stored."""
    with Senders(
        product.otlp_url,
        f"round-{number}",
        clients=CLIENTS,
        batch=BATCH,
        pause_s=PAUSE_S,
        resend=0.05,
    ) as senders:
        product.wait(lambda: senders.acknowledged, 60)
        time.sleep(chance.random())
        kills = killer.victims[victim]()
        ready_s = ready_after(senders, killer.killed_s)
        time.sleep(0.2)
    verdict = judge(product, senders)
    return verdict, kills, ready_s, time.monotonic() - killer.killed_s


WAITING = "SELECT segment FROM segments WHERE state = 'closed' AND rows > 0"


def verify(product: Product) -> str:
    """The two verdicts of the stand-alone verifier over everything that was stored, and of packs."""
    evidence = product.folder / "evidence.jsonl"
    product.command("ledger", "export", str(evidence))
    alone = product.folder / "verify.py"
    alone.write_text(product.command("ledger", "verifier"), "utf-8")
    key = product.command("ledger", "key").strip()
    done = subprocess.run(
        [sys.executable, "-I", str(alone), str(evidence), "--key", key],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    verdicts = (done.stdout + done.stderr).strip().splitlines()[-2:]
    return "; ".join([*verdicts, packs_of(product)])


def packs_of(product: Product) -> str:
    """Whether all packs are intact to the row, and nothing is left of interrupted packing."""
    product.run("packs", "pack")  # whatever waits, also under the claim of a killed packer
    product.wait(lambda: not product.sql(WAITING), 120)
    said = product.run("packs", "verify", "--full").stdout.strip()
    left = [path.name for path in (product.data_dir / "packs").glob("*/*.tmp")]
    return said if not left else f"{said}, but unfinished files are left: {left}"


def table(sums: dict[str, Sum], seed: int, verified: str) -> str:
    """The table for docs/reliability.md."""
    made_by = (
        f"opslog {__version__}, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, seed {seed},"
        f" {CLIENTS} senders"
    )
    lines = [
        made_by,
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    total = Sum()
    for name, each in sums.items():
        lines.append(_row(name, each))
        for member in ("rounds", "kills", "acknowledged", "lost", "twice", "unsent", "unbalanced"):
            setattr(total, member, getattr(total, member) + getattr(each, member))
        total.ready_s += each.ready_s
        total.stored_s += each.stored_s
    lines += [_row("**all**", total), "", f"Verified in the end: {verified}."]
    return "\n".join(lines)


def _row(name: str, each: Sum) -> str:
    def times(values: list[float]) -> str:
        return f"{median(values):.1f} s, {max(values):.1f} s" if values else "–"

    return (
        f"| {name} | {each.rounds} | {each.kills} | {each.acknowledged:,} | {each.lost}"
        f" | {each.twice} | {each.unsent} | {each.unbalanced}"
        f" | {times(each.ready_s)} | {times(each.stored_s)} |"
    )


if __name__ == "__main__":
    sys.exit(main())
