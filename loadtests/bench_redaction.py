"""Cost of redaction in microseconds per record, hostile texts, harm, comparison with another tool.

    python loadtests/bench_redaction.py [--load-tool PATH]

Times are CPU times, the best of several rounds. With detect-secrets installed (dependency group
`compare`) the corpus is run through it too.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import opslog  # noqa: E402, F401 (first: it selects the compiled codec)
from config.settings import RedactionSettings  # noqa: E402 (needs the path above)
from loadtests.load_tool import load_tool  # noqa: E402
from otlp_receiver.redaction.bulk import BULK_RECORDS  # noqa: E402
from storage.record.record import Value  # noqa: E402
from storage.redaction.redactor import Redactor  # noqa: E402
from storage.redaction.tokens import HmacKeys  # noqa: E402
from tests.corpus.cases import REPLACEMENT, Case, cases  # noqa: E402
from tests.corpus.shapes import CARDS, OTHERS, samples  # noqa: E402

Record = tuple[str, list[tuple[str, Value]]]
LIMITS_US = {"ordinary records": 5.0, "records of which most hold secrets": 15.0}
HOSTILE = [
    "a@a@", "a@b.cc ", "alice@example.com, ", "4", "4111 1111 1111 1111 ", "4000 ", ":", "=", '"',
    "\\", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "pwd=a ", "password=", 'password="',
    '{"password":"x"},', "author=x,", "://", "x://b:c/@", "postgres://u:p@h/d ", "eyJ", "%40",
    "\\u0040", "&#64;", "authorization: ", "cookie: a=b; ", "<password>", "--password x ",
    "lorem ipsum dolor sit amet ", "0f1e9d8c", '{"id":12,"name":"x","ok":true},',
]  # fmt: skip


def best_us(work: Callable[[], object], items: int, rounds: int = 7) -> float:
    """Return CPU microseconds per item in the best round."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best / items * 1e6


def load_tool_records(path: Path) -> list[Record]:
    """Return messages of the load tool, each with the one attribute that is not cached."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (  # noqa: PLC0415
        ExportLogsServiceRequest,
    )

    records: list[Record] = []
    for template in load_tool(path).build_templates(10, 500, 1):
        request = ExportLogsServiceRequest.FromString(bytes(template.raw))
        for resource in request.resource_logs:
            for scope in resource.scope_logs:
                for log in scope.log_records:
                    fresh: list[tuple[str, Value]] = [
                        (item.key, item.value.string_value)
                        for item in log.attributes
                        if item.key == "request.id"
                    ]
                    records.append((log.body.string_value, fresh))
    return records


def corpus_records(every: Iterable[Case]) -> list[Record]:
    """Return the corpus as records, two of three with a secret."""
    with_secrets = [case for case in every if case.hide]
    without = [case for case in every if not case.hide][: len(with_secrets) // 2]
    records: list[Record] = []
    for case in (*with_secrets, *without):
        if case.key:
            records.append(("request finished", [(case.key, case.value)]))  # type: ignore[list-item]
        else:
            records.append((str(case.value), []))
    return records


def report_speed(redactor: Redactor, name: str, records: list[Record]) -> None:
    """Print the cost of a record and its limit."""

    def work() -> None:
        for first in range(0, len(records), BULK_RECORDS):
            redactor.records(records[first : first + BULK_RECORDS])

    cost = best_us(work, len(records))
    print(f"{name}: {cost:.2f} us per record (limit {LIMITS_US[name]}, {len(records)} records)")


def report_hostile(redactor: Redactor, size: int = 64 * 1024) -> None:
    """Print the slowest hostile text of 64 kB, and the same with a megabyte."""
    every = [(unit * (size // len(unit) + 1))[:size] for unit in HOSTILE]
    every.append((" ".join(rule.canary for rule in redactor.rules) * 100)[:size])
    costs = [best_us(partial(redactor.text, text), 1, 3) for text in every]
    worst = max(range(len(costs)), key=costs.__getitem__)
    print(
        f"hostile texts of 64 kB: slowest {costs[worst] / 1000:.2f} ms "
        f"({every[worst][:24]!r}…), mean {sum(costs) / len(costs) / 1000:.2f} ms (limit 5 ms)"
    )
    long = every[worst] * 16
    print(f"the same as 1 MB: {best_us(partial(redactor.text, long), 1, 3) / 1000:.1f} ms")


def score(name: str, every: list[Case], hide: Callable[[Case], str]) -> None:
    """Print secrets redacted, records fully clean, strings kept, microseconds per record."""
    secrets = hidden = clean = with_secrets = strings = kept = 0
    start = time.process_time()
    outputs = [hide(case) for case in every]
    cost = (time.process_time() - start) / len(every) * 1e6
    for case, output in zip(every, outputs, strict=True):
        bare = re.sub(REPLACEMENT, "", output)
        gone = [
            bare.count(secret) <= sum(piece.count(secret) for piece in case.keep)
            for secret in case.hide
        ]
        secrets += len(gone)
        hidden += sum(gone)
        with_secrets += bool(gone)
        clean += bool(gone) and all(gone)
        strings += len(case.keep)
        kept += sum(piece in output for piece in case.keep)
    print(
        f"{name}: {100 * hidden / secrets:.1f} % of secrets redacted, "
        f"{100 * clean / with_secrets:.1f} % of records clean, "
        f"{100 * kept / strings:.1f} % of strings kept, {cost:.1f} us per record"
    )


def report_harm(redactor: Redactor, count: int = 2000) -> None:
    """Print how many numbers that only look like cards are redacted, and how many cards."""
    for shape in (*OTHERS, *CARDS):
        hidden = sum(
            number not in redactor.text(text)[0] for number, text, _ in samples(shape, count)
        )
        print(f"{shape.name}: {100 * hidden / count:.1f} % redacted")


def ours(redactor: Redactor) -> Callable[[Case], str]:
    """Redact with opslog."""

    def hide(case: Case) -> str:
        if not case.key:
            return redactor.text(str(case.value))[0]
        return json.dumps(redactor.value(case.key, case.value)[0], ensure_ascii=False)  # type: ignore[arg-type]

    return hide


def detect_secrets() -> Callable[[Case], str] | None:
    """Redact with detect-secrets and its default plugins, replacing every finding by a marker."""
    try:
        from detect_secrets.core.scan import scan_line  # noqa: PLC0415
        from detect_secrets.settings import default_settings  # noqa: PLC0415
    except ImportError:
        return None

    def hide(case: Case) -> str:
        text = str(case.value)
        if case.key:
            text = f"{case.key} = {json.dumps(case.value, ensure_ascii=False)}"
        with default_settings():
            for line in text.splitlines():
                for found in scan_line(line):
                    if found.secret_value:
                        text = text.replace(found.secret_value, "[REDACTED:found]")
        return text

    return hide


def main() -> None:
    """Print all results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    default = ROOT.parent / "shared" / "tools" / "otlp_load.py"
    parser.add_argument("--load-tool", type=Path, default=default, help="otlp_load.py")
    path = parser.parse_args().load_tool
    redactor = Redactor(RedactionSettings(), HmacKeys({"bench": bytes(32)}, current="bench"))
    every = cases()
    print(f"{len(redactor.rules)} rules on, {len(every)} cases in the corpus")
    if path.exists():
        report_speed(redactor, "ordinary records", load_tool_records(path))
    else:
        print(f"ordinary records: no load tool at {path}; give --load-tool")
    report_speed(redactor, "records of which most hold secrets", corpus_records(every))
    report_hostile(redactor)
    report_harm(redactor)
    score("opslog on the corpus", every, ours(redactor))
    other = detect_secrets()
    if other is None:
        print("detect-secrets is not installed (dependency group `compare`)")
    else:
        score("detect-secrets on the corpus", every, other)


if __name__ == "__main__":
    main()
