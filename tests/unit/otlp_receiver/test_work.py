"""Cost of a record in function calls: unlike times, calls are stable on shared machines.

A limit is what was counted when it was written, and a tenth. Whoever exceeds it says why, and what
make profile says, or finds what is done twice. (Some fifty of a record's calls are those of librt's
writer, one for each length and field of the row: none of them is a call once compiled.)
"""

import sys
from collections import Counter

import pytest

from config.settings import LimitSettings, MappingSettings, RedactionSettings
from loadtests.shop import shop_request
from opslog.compiled import in_use
from otlp_receiver.admission.keys import KEYLESS
from otlp_receiver.codec import Codec
from otlp_receiver.export import Encoding, Signal
from storage.record.classes import classify
from storage.record.copy_binary import encode
from storage.redaction.redactor import Redactor
from storage.redaction.tokens import HmacKeys
from tests.support.telemetry import NOW_NS

RECORDS = 200


def calls_of(work) -> float:
    """Calls of Python and C functions per record."""
    counts: Counter[str] = Counter()

    def note(_frame, event, _argument):
        counts[event] += 1

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return (counts["call"] + counts["c_call"]) / RECORDS


@pytest.mark.skipif(in_use(), reason="compiled calls cannot be counted; make suite counts them")
@pytest.mark.parametrize(("seen_before", "most"), [(True, 197), (False, 321)])
def test_the_calls_for_a_record_stay_as_few_as_they_are(seen_before, most):
    redactor = Redactor(RedactionSettings(), HmacKeys({"test": bytes(32)}, current="test"))
    codec = Codec(redactor, LimitSettings(), MappingSettings())
    bodies = [shop_request("run", number * RECORDS, RECORDS, NOW_NS) for number in (0, 1, 2)]

    def whole(body):
        export = codec.redact(codec.decode(Signal.LOGS, Encoding.PROTOBUF, body))
        batch = codec.map(export, received_unix_ns=NOW_NS, key=KEYLESS)
        encode(
            batch,
            batch_id=1,
            received_unix_ns=NOW_NS,
            ingest_key_id=0,
            classify=classify,
            secret=bytes(16),
        )

    whole(bodies[0])
    whole(bodies[1])

    calls = calls_of(lambda: whole(bodies[1] if seen_before else bodies[2]))

    print(f"calls a record: {calls:.1f}")
    assert calls <= most
