"""The commands: output, effect, exit codes."""

import json
import os
import subprocess
import sys

import pytest

from tests.integration.retention.test_expiry import ago, closed, states
from tests.support.keeping import close, keep
from tests.support.packing import count as stored_count
from tests.support.records import make_record


@pytest.fixture
def opslog(database, tmp_path):
    """Run a command on the test's database: exit code, standard output."""

    def run(*arguments: str, **environment: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "opslog", *arguments],
            env={
                **{key: value for key, value in os.environ.items() if "OPSLOG" not in key},
                "OPSLOG_DATA_DIR": str(tmp_path / "data"),
                "OPSLOG_DATABASE_URL": database.dsn,
                "OPSLOG_REDIS_URL": "unix:///nowhere",
                "OPSLOG_STORAGE__PACKS_DIR": str(tmp_path / "packs"),
                **environment,
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout + done.stderr

    return run


async def test_plan_run_history_and_status(opslog, owner_pool, writer_pool):
    due = await closed(writer_pool, level=0, at=ago(days=12))
    soon = await closed(writer_pool, level=1, at=ago(days=27))

    code, plan = opslog("retention", "plan")
    assert (code, (await states(owner_pool))[due]) == (0, "closed")
    assert f"{due} debug default next run" in " ".join(plan.split())
    assert f"{soon} info" in " ".join(plan.split())
    assert "next run: 1 segments, 20 rows" in plan
    assert opslog("retention", "status")[0] == 1  # overdue

    code, said = opslog("retention", "run")
    assert (code, said.startswith("done: 1 segments, 20 rows")) == (0, True)
    assert (await states(owner_pool))[due] == "dropped"

    _, history = opslog("retention", "history")
    assert f"retire {due} (debug, default): 20 rows" in history
    assert "(cli)" in history
    code, status = opslog("retention", "status", "--json")
    assert code == 0
    assert {each["class"] for each in json.loads(status)["classes"]} >= {"debug", "audit"}
    assert json.loads(opslog("retention", "history", "--json")[1])[0]["steps"][0]["segment"] == due


async def test_the_plan_shows_what_a_changed_rule_means_before_it_happens(
    opslog, owner_pool, writer_pool
):
    segment = await closed(writer_pool, level=3, at=ago(days=10))
    opslog("retention", "run")
    rules = json.dumps([{"name": "short", "level": "ERROR", "keep": "7d"}])

    _, before = opslog("retention", "plan", "--json")
    _, after = opslog("retention", "plan", OPSLOG_RETENTION__RULES=rules)

    assert json.loads(before) == []
    assert "error: kept 7d by short, was 180d by default" in after
    assert f"{segment} error short next run" in " ".join(after.split())
    assert (await states(owner_pool))[segment] == "closed"


async def test_a_hold_from_the_command_line(opslog, owner_pool, writer_pool):
    async with writer_pool.acquire() as conn:
        records = [make_record(level=0, actor_id=f"u-{n % 2}") for n in range(10)]
        await keep(conn, *records, at=ago(days=8))
        await close(conn, "debug")

    code, said = opslog(
        *("hold", "add", "case 7", "actorId=u-1", "order", "start=2020-01-01T00:00:00Z"),
        *("--reason", "subpoena", "--until", "2099-01-01"),
    )
    assert code == 0
    number = said.split()[0]
    assert "case 7" in opslog("hold", "list")[1]
    opslog("retention", "run")
    assert await stored_count(owner_pool) == 5

    assert opslog("hold", "release", number, "--reason", "settled")[0] == 0
    assert opslog("hold", "list")[1].strip() == "no legal holds"
    assert "settled" in opslog("hold", "list", "--all", "--json")[1]
    opslog("retention", "run")
    assert await stored_count(owner_pool) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("hold", "release", "99", "--reason", "x"), "there is no active hold 99"),
        (("hold", "add", "case", "colour=red", "--reason", "x"), "Unknown parameter colour"),
        (("hold", "add", "case", "start=soon", "--reason", "x"), "start is not a time"),
        (("hold", "add", "case", "start=-1d", "--reason", ""), ""),
    ],
)
def test_what_cannot_be_is_said_in_a_line(opslog, arguments, said):
    code, result = opslog(*arguments)

    assert code != 0
    assert said in result
    assert "Traceback" not in result


async def test_segments_are_listed_with_their_sizes(opslog, writer_pool):
    segment = await closed(writer_pool, level=3, at=ago(days=1))

    _, text = opslog("segments")
    _, rows = opslog("segments", "--class", "error", "--json")

    assert f"{segment} error closed" in " ".join(text.split())
    assert json.loads(rows)[0]["rows"] == 20


async def test_a_clock_in_doubt_is_said_and_can_be_vouched_for(opslog, owner_pool, writer_pool):
    segment = await closed(writer_pool, level=0, at=ago(days=8))
    opslog("retention", "plan")
    past = {"boot": "another", "safe_us": int(ago(days=3).timestamp() * 1e6), "uptime_us": 5,
            "doubt": None}  # fmt: skip
    await owner_pool.execute(
        "INSERT INTO retention_clock (state) VALUES ($1::jsonb)", json.dumps(past)
    )

    _, said = opslog("retention", "run")
    assert "ahead of the trusted time" in said
    assert (await states(owner_pool))[segment] == "closed"

    assert "done: 1 segments" in opslog("retention", "run", "--trust-clock")[1]
