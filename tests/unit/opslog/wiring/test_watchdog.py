"""A blocked loop is logged with its stack; if it stays blocked, the process exits."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import asyncio, logging, sys, time
from opslog.wiring import watchdog

watchdog._POLL_S = 0.05
watchdog.REPORT_AFTER, watchdog.EXIT_AFTER = 4, int(sys.argv[2])
logging.basicConfig(stream=sys.stderr)

def defect():
    time.sleep(float(sys.argv[1]))

async def main():
    dog = watchdog.Watchdog(asyncio.get_running_loop())
    dog.start()
    await asyncio.sleep(0.3)
    defect()
    await asyncio.sleep(0.3)
    dog.stop()

asyncio.run(main())
"""


def run(stuck_s: float, end_after: int) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(stuck_s), str(end_after)],
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


def test_a_responsive_loop_logs_nothing():
    assert run(0.0, 400) == (0, "")


def test_a_blocked_loop_is_logged_with_its_stack_and_may_recover():
    code, said = run(1.0, 400)

    assert code == 0
    assert "blocked for 4 s at: defect (<string>:" in said
    assert said.count("blocked for") == 1
    assert "the event loop runs again" in said


def test_a_loop_that_stays_blocked_ends_its_process():
    code, said = run(30.0, 10)

    assert code == 70
    assert "exiting, so that the process is restarted" in said
