"""CPU of the codec in microseconds per record: decode, redact, map.

    python loadtests/bench_codec.py --load-tool otlp_load.py [--json] [--redactor] [--limit 8]

Bodies are built by the load tool given by --load-tool (or OPSLOG_LOAD_TOOL), so the data is that of a load
test. A quarter of the bodies warms the caches; the sum covers the others, whose ids are new, without the
redactor's time, which is measured by replaying its calls. The stages use bodies seen before. Exits with 1
above --limit.
"""

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

import opslog  # noqa: F401 - first: it selects the compiled codec
from config.settings import LimitSettings, MappingSettings, RedactionSettings
from loadtests.load_tool import BATCH, distinct_bodies
from otlp_receiver.codec import Codec
from otlp_receiver.export import Encoding, Group, Signal
from otlp_receiver.redaction.limiting import RedactorLike
from storage.record.canonical import member, order_of
from storage.record.record import Attribute, Hit, Value

ROUNDS = 15
NO_KEY = SimpleNamespace(id=0, attributes=(), min_level=None)

Call = tuple[str | None, Sequence[tuple[str, Value]]]
"""A record: its message and its new attributes."""


class NoRedactor:
    """Builds attributes and redacts nothing."""

    def text(self, text: str) -> tuple[str, tuple[Hit, ...]]:
        """Return the text."""
        return text, ()

    def attribute(self, key: str, value: Value) -> Attribute:
        """Return the attribute."""
        return Attribute(key, value, member(key, value), order_of(key), ())

    def records(
        self, requests: Sequence[Call]
    ) -> list[tuple[str | None, tuple[Hit, ...], list[Attribute]]]:
        """Return all of them unchanged."""
        return [
            (text, (), [self.attribute(key, value) for key, value in fresh])
            for text, fresh in requests
        ]


class Recording:
    """A redactor that records its calls, so that its time can be measured separately."""

    def __init__(self, redactor: RedactorLike) -> None:
        self.text = redactor.text
        self.attribute = redactor.attribute
        self._records = redactor.records
        self.calls: list[list[Call]] = []

    def records(
        self, requests: Sequence[Call]
    ) -> list[tuple[str | None, tuple[Hit, ...], list[Attribute]]]:
        """Record the call and pass it on."""
        self.calls.append([(text, list(fresh)) for text, fresh in requests])
        return self._records(requests)


def as_json(body: bytes) -> bytes:
    """Convert a request to OTLP/JSON like the JavaScript SDK (ids in hex)."""
    request = ExportLogsServiceRequest.FromString(body)
    document = MessageToDict(request, use_integers_for_enums=True)
    for resource, raw_resource in zip(document["resourceLogs"], request.resource_logs, strict=True):
        for scope, raw_scope in zip(resource["scopeLogs"], raw_resource.scope_logs, strict=True):
            for record, raw in zip(scope["logRecords"], raw_scope.log_records, strict=True):
                record["traceId"], record["spanId"] = raw.trace_id.hex(), raw.span_id.hex()
    return json.dumps(document, separators=(",", ":")).encode()


def new_codec(redactor: RedactorLike, bodies: list[bytes], encoding: Encoding) -> Codec:
    """Return a codec whose caches are warmed with some bodies."""
    codec = Codec(redactor, LimitSettings(), MappingSettings())
    for body in bodies:
        whole(codec, encoding, body)
    return codec


def whole(codec: Codec, encoding: Encoding, body: bytes) -> int:
    """Measure the CPU nanoseconds of a body from its bytes to its records."""
    begin = time.process_time_ns()
    export = codec.redact(codec.decode(Signal.LOGS, encoding, body))
    batch = codec.map(export, received_unix_ns=time.time_ns(), key=NO_KEY)
    spent_ns = time.process_time_ns() - begin
    assert len(batch.records) == BATCH
    return spent_ns


def by_stage(codec: Codec, encoding: Encoding, body: bytes) -> tuple[int, int, int]:
    """Measure each stage separately; normally they are interleaved."""
    begin = time.process_time_ns()
    export = codec.decode(Signal.LOGS, encoding, body)
    export.logs = [Group(group.stream, list(group.rows)) for group in export.logs]
    decoded = time.process_time_ns()
    redacted = codec.redact(export)
    redacted.logs = [Group(group.stream, list(group.rows)) for group in redacted.logs]
    safe = time.process_time_ns()
    codec.map(redacted, received_unix_ns=time.time_ns(), key=NO_KEY)
    return decoded - begin, safe - decoded, time.process_time_ns() - safe


def replay(calls: list[list[Call]], redactor: RedactorLike) -> int:
    """Measure the redactor's nanoseconds for these calls."""
    begin = time.process_time_ns()
    for call in calls:
        redactor.records(call)
    return time.process_time_ns() - begin


def measure(bodies: list[bytes], encoding: Encoding, redactor: RedactorLike) -> dict[str, float]:
    """Measure microseconds per record.

    The minimum of several rounds counts for each body, since the machine is shared.
    """
    seen, unseen = bodies[: len(bodies) // 4], bodies[len(bodies) // 4 :]
    recording = Recording(redactor)
    codec = new_codec(recording, seen, encoding)
    recording.calls.clear()
    per_body = []
    for body in unseen:
        whole(codec, encoding, body)
        per_body.append(recording.calls.copy())
        recording.calls.clear()
    gc.collect()
    gc.freeze()
    sums, stages = [], []
    for _ in range(ROUNDS):
        codec = new_codec(redactor, seen, encoding)
        sums.append([whole(codec, encoding, body) for body in unseen])
        stages.append([by_stage(codec, encoding, body) for body in unseen])
    own = [[replay(calls, redactor) for calls in per_body] for _ in range(ROUNDS)]
    gc.unfreeze()
    each = 1 / 1000 / BATCH / len(unseen)
    total, alone = (sum(map(min, zip(*rounds, strict=True))) * each for rounds in (sums, own))
    measurements = {"sum": total - alone, "redactor": alone}
    for place, name in enumerate(("decode", "redact", "map")):
        measurements[name] = each * sum(
            min(stage[place] for stage in rounds) for rounds in zip(*stages, strict=True)
        )
    return measurements


def main() -> int:
    """Print one line per encoding."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--load-tool", default=os.environ.get("OPSLOG_LOAD_TOOL", ""))
    parser.add_argument("--bodies", type=int, default=40)
    parser.add_argument("--json", action="store_true", help="also as OTLP/JSON")
    parser.add_argument("--redactor", action="store_true", help="with the real redactor")
    parser.add_argument("--limit", type=float, default=0.0, help="microseconds for protobuf")
    options = parser.parse_args()
    if not Path(options.load_tool).is_file():
        sys.exit("give the path of the load tool: --load-tool or OPSLOG_LOAD_TOOL")
    bodies = distinct_bodies(Path(options.load_tool), options.bodies, templates=40)
    redactor: RedactorLike = NoRedactor()
    if options.redactor:
        from storage.redaction.redactor import Redactor  # noqa: PLC0415 - optional
        from storage.redaction.tokens import HmacKeys  # noqa: PLC0415

        redactor = Redactor(RedactionSettings(), HmacKeys({"bench": bytes(32)}, current="bench"))
    sums = []
    for encoding in Encoding:
        if encoding is Encoding.JSON:
            if not options.json:
                break
            bodies = [as_json(body) for body in bodies]
        measurements = measure(bodies, encoding, redactor)
        sums.append(measurements["sum"])
        print(
            f"{encoding.value}: {measurements['sum']:.2f} us/record without the redactor's"
            f" {measurements['redactor']:.2f}; seen before: decode {measurements['decode']:.2f},"
            f" redact {measurements['redact']:.2f}, map {measurements['map']:.2f}"
        )
    return int(bool(options.limit) and sums[0] > options.limit)


if __name__ == "__main__":
    sys.exit(main())
