"""search, tail, trace, stats, export: the conventions of similar tools."""

import csv
import io
import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from opslog.client.record_lines import FORMATS, default_line, printable
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


@pytest.mark.parametrize("form", [*FORMATS, "default"])
def test_records_cannot_steer_a_terminal(form):
    line = FORMATS[form](RECORD) if form in FORMATS else default_line(RECORD, colour=False)

    assert "\x1b" not in line
    assert "\u202e" not in line
    if form != "csv":
        assert "\n" not in line
    else:
        assert next(csv.reader(io.StringIO(line)))[6].startswith("'=")
    assert printable("ü☃") == "ü☃"


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


def test_a_search_is_explained_beside_its_records(product):
    done = run(product, "search", "--explain", "-o", "jsonl", "-n", "3", OURS)

    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
    said = done.stderr.splitlines()
    assert re.fullmatch(r"explain: segments: \d+ of \d+ read \(.*\).*", said[0])
    assert re.fullmatch(r"explain: rows: [\d,]+ scanned, [\d,]+ found", said[2])
    assert re.fullmatch(r"explain: request: db [\d.]+ ms, .*", said[-1])


def test_an_address_and_a_token_are_enough(product):
    token = product.token("NOC")

    there = {"OPSLOG_URL": product.api_url, "OPSLOG_TOKEN": token}
    done = run(product, "stats", OURS, "-o", "json", **there)
    refused = run(product, "export", **there)

    assert json.loads(done.stdout)["total"] == 20
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "logs.export" in refused.stderr


EXAMPLES = (Path(__file__).parents[3] / "docs" / "query-examples.md").read_text()
COMMANDS = re.findall(r"^opslog .+$", EXAMPLES, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_example_of_the_documentation_runs(product, tmp_path, command):
    profiles = tmp_path / "profiles.toml"
    profiles.write_text(f'[default]\nurl = "{product.api_url}"\ntoken = "{product.token()}"\n')
    profiles.chmod(0o600)
    opslog = shlex.join([sys.executable, "-P", "-m", "opslog"])
    limit = "timeout --signal INT 5 " if " -f" in command else ""

    done = subprocess.run(
        ["/bin/sh", "-c", limit + command.replace("opslog", opslog, 1)],
        env=product.environment | {"OPSLOG_PROFILES": str(profiles)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    # A search that finds nothing ends with 1, as grep does.
    ends = {124, 130} if limit else {0, 1} if command.startswith("opslog search") else {0}
    assert done.returncode in ends, done.stderr
    assert "opslog:" not in done.stderr


def test_a_profile_keeps_address_and_token(product, tmp_path):
    file, token_file = tmp_path / "profiles.toml", tmp_path / "token"
    token_file.write_text(product.token("NOC") + "\n")
    file.write_text(
        f'[default]\nurl = "{product.api_url}"\ntoken_file = "{token_file}"\n'
        '[away]\nurl = "http://127.0.0.1:9"\ntoken = "x"\n[odd]\ncolour = "red"\n'
    )
    file.chmod(0o600)
    there = {"OPSLOG_PROFILES": str(file), "OPSLOG_DATA_DIR": str(tmp_path / "nothing")}

    taken = run(product, "stats", OURS, "-o", "json", **there)
    away = run(product, "stats", "--profile", "away", **there)
    named = run(product, "stats", **there, OPSLOG_PROFILE="nobody")
    odd = run(product, "stats", "--profile", "odd", **there)
    file.chmod(0o644)
    open_to_all = run(product, "stats", **there)

    assert json.loads(taken.stdout)["total"] == 20
    assert "cannot connect to http://127.0.0.1:9" in away.stderr
    assert "unknown profile nobody" in named.stderr
    assert "[odd]" in odd.stderr
    assert "chmod 600" in open_to_all.stderr
    assert not (tmp_path / "nothing").exists()
    assert {done.returncode for done in (named, odd, open_to_all)} == {78}


def test_the_past_of_a_tail_has_ends(product):
    assert run(product, "tail", OURS, "--until", "1h", "-o", "raw").stdout == ""
    assert run(product, "tail", OURS, "--since", "365d", "-n", "30", "-o", "raw").stdout
    assert run(product, "tail", "-f", "--until", "1h").returncode == 2


def test_a_trace_that_is_not_there_is_no_error(product):
    done = run(product, "trace", "0" * 31 + "7")

    assert (done.returncode, done.stdout) == (0, "")
    assert "no record" in done.stderr
    assert run(product, "trace", "0" * 31 + "7", "--exit-code").returncode == 1


def test_exit_codes_say_what_came(product):
    none = run(product, "search", "nothing-of-the-kind")
    fault = run(product, "search", "(x")
    usage = run(product, "search", "--colour-of-the-sky")
    away = run(product, "search", "--url", "http://127.0.0.1:9", "--token", "x")

    assert (none.returncode, none.stdout) == (1, "")
    assert "7 days" in none.stderr
    assert fault.returncode == 2
    assert "character 1" in fault.stderr
    assert usage.returncode == 2
    assert away.returncode == 2
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
    product.wait(lambda: run(product, "trace", trace, "--exit-code").returncode == 0, 20)

    text = run(product, "trace", trace).stdout

    assert "250.00 ms" in text
    assert "    shop: SELECT" in text or "  shop: SELECT" in text
    assert run(product, "trace", "cd" * 16, "--exit-code").returncode == 1
