"""search, tail, trace, stats, export: the habits that people have from other tools."""

import csv
import io
import json
import signal
import subprocess
import sys

import pytest

from opslog.record_lines import FORMS, default_line, harmless
from tests.support.product import Product
from tests.support.senders import numbered_body

pytestmark = pytest.mark.slow

RECORD = {
    "createdAt": "2026-11-23T09:00:00.123456789Z",
    "level": "ERROR",
    "sourceModule": "shop\x1b]0;title\x07",
    "action": "a",
    "actorId": None,
    "traceId": None,
    "message": "=1\x1b[2J\nfaked line\u202e",
    "id": "x",
}


@pytest.mark.parametrize("form", [*FORMS, "default"])
def test_records_cannot_steer_a_terminal(form):
    line = FORMS[form](RECORD) if form in FORMS else default_line(RECORD, colour=False)

    if form != "csv":
        assert "\x1b" not in line
        assert "\n" not in line
        assert "\u202e" not in line
    else:
        assert next(csv.reader(io.StringIO(line)))[6].startswith("'=")
    assert harmless("ü☃") == "ü☃"


OURS = "sourceModule:cli"
"""The twenty records of the fixture; the module's tests add others, in any order."""


@pytest.fixture(scope="module")
def product():
    with Product.running() as running:
        assert running.export(numbered_body("cli", 0, 0, 20))[0] == 200
        running.wait(lambda: running.get("/api/v1/logs?limit=1")["data"], 30)
        yield running


def run(product, *arguments, **more):
    return subprocess.run(
        [sys.executable, "-P", "-m", "opslog", *arguments],
        env=product.environment | more,
        cwd=product.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_commands_find_the_running_opslog_by_themselves(product):
    lines = run(product, "search", "-o", "jsonl", "-n", "5").stdout.splitlines()
    times = [json.loads(line)["createdAt"] for line in lines]

    assert len(lines) == 5
    assert times == sorted(times)
    assert "\x1b" not in run(product, "search").stdout
    assert "\x1b[" in run(product, "search", "--color").stdout
    assert len(run(product, "tail", "-n", "3", "-o", "raw").stdout.splitlines()) == 3
    assert run(product, "stats", OURS).stdout.splitlines()[-1].split()[-1] == "20"
    assert len(run(product, "export", OURS).stdout.splitlines()) == 20


def test_an_address_and_a_token_are_enough(product):
    token = product.token("NOC")

    there = {"OPSLOG_URL": product.api_url, "OPSLOG_TOKEN": token}
    done = run(product, "stats", OURS, "-o", "json", **there)
    refused = run(product, "export", **there)

    assert json.loads(done.stdout)["total"] == 20
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "logs.export" in refused.stderr


def test_exit_codes_say_what_came(product):
    none = run(product, "search", "--exit-code", "nothing-of-the-kind")
    fault = run(product, "search", "(x")
    usage = run(product, "search", "--colour-of-the-sky")
    away = run(product, "search", "--url", "http://127.0.0.1:9", "--token", "x")

    assert (none.returncode, none.stdout) == (1, "")
    assert "7 days" in none.stderr
    assert fault.returncode == 1
    assert "character 1" in fault.stderr
    assert usage.returncode == 2
    assert away.returncode == 1
    assert "Traceback" not in none.stderr + fault.stderr + away.stderr


def test_following_prints_what_comes_until_ctrl_c(product):
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "opslog", "tail", "-f", "-n", "0", "-o", "raw"],
        env=product.environment,
        cwd=product.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        product.wait(lambda: "logs.tail" in str(product.get("/api/v1/logs?kind=audit", "AUDITOR")))
        product.export(numbered_body("later", 0, 0, 1))
        assert process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in said


def test_a_trace_is_drawn_as_a_tree(product):
    trace = "ab" * 16
    body = {"resourceSpans": [{"resource": {"attributes": [
        {"key": "service.name", "value": {"stringValue": "shop"}}]}, "scopeSpans": [{"spans": [
            {"traceId": trace, "spanId": "01" * 8, "name": "GET /", "startTimeUnixNano": "1790000000000000000",
             "endTimeUnixNano": "1790000000250000000"},
            {"traceId": trace, "spanId": "02" * 8, "parentSpanId": "01" * 8, "name": "SELECT",
             "startTimeUnixNano": "1790000000010000000", "endTimeUnixNano": "1790000000020000000"},
        ]}]}]}  # fmt: skip
    product.export(json.dumps(body).encode(), "traces", "application/json")
    product.wait(lambda: run(product, "trace", trace).returncode == 0, 20)

    text = run(product, "trace", trace).stdout

    assert "250.00 ms" in text
    assert "    shop: SELECT" in text or "  shop: SELECT" in text
    assert run(product, "trace", "cd" * 16).returncode == 1
