"""Rows that are unlike the load tool's, for measuring packs: six kinds, the same for one seed.

json      bodies with 30 of 60 changing keys          stacks      stack traces of 2 to 10 kB
nginx     access logs, parsed                         kubernetes  events of a cluster
traces    deep traces of spans with events            text        unique free text
"""

import hashlib
import random
from collections.abc import Callable, Iterator
from typing import Any

from storage.record.canonical import canonical
from storage.record.classes import classify
from storage.record.copy_binary import encode
from storage.record.nonces import SECRET_BYTES
from storage.record.record import Batch, Record, RedactedBatch
from storage.record.record_ids import TAIL_MASK, id_of

BATCH = 500
START_NS = 1_796_070_000_000_000_000

Fields = dict[str, Any]
Maker = Callable[[random.Random, int], Fields]

_WORDS = [
    f"{start}{middle}{end}"
    for start in ("con", "re", "trans", "un", "pre", "ad", "sub", "inter", "over", "de")
    for middle in ("nect", "port", "form", "load", "sign", "quir", "mit", "vert", "struct", "lay")
    for end in ("ed", "ing", "ion", "s", "er", "able", "ment", "al")
]
_PATHS = [
    f"/api/v{v}/{name}" for v in (1, 2) for name in ("users", "orders", "cart", "search", "pay")
]
_AGENTS = [
    f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/{v}.0.0.0 Safari/537.36"
    for v in range(100, 140)
]


def _json(chance: random.Random, _: int) -> Fields:
    keys = sorted(chance.sample(range(60), 30))
    body: Fields = {}
    for key in keys:
        name = f"{_WORDS[key]}_{_WORDS[key * 3 % 80]}"
        kind = key % 4
        if kind == 0:
            body[name] = chance.randrange(100_000)
        elif kind == 1:
            body[name] = chance.choice(_WORDS[:50])
        elif kind == 2:
            body[name] = round(chance.random() * 1000, 2)
        else:
            body[name] = f"{chance.getrandbits(48):012x}"
    text = canonical(body).decode()
    return {"message": text, "metadata": {"body": body}}


def _stacks(chance: random.Random, number: int) -> Fields:
    lines = [f"java.lang.IllegalStateException: order {number} in state {chance.choice(_WORDS)}"]
    size = chance.randrange(2000, 10_000)
    while sum(map(len, lines)) < size:
        name = f"{chance.choice(_WORDS)}.{chance.choice(_WORDS).title()}"
        lines.append(
            f"\tat com.shop.{name}.{chance.choice(_WORDS)}({name}.java:{chance.randrange(900)})"
        )
    stack = "\n".join(lines)
    return {
        "level": 3,
        "message": lines[0] + "\n" + stack,
        "metadata": {
            "exception": {"type": "java.lang.IllegalStateException", "stacktrace": stack},
            "attributes": {"thread.name": f"worker-{chance.randrange(32)}"},
        },
    }


def _nginx(chance: random.Random, _: int) -> Fields:
    ip = ".".join(str(chance.randrange(1, 255)) for _ in range(4))
    path = f"{chance.choice(_PATHS)}/{chance.randrange(10**6)}"
    status, size = chance.choice([200] * 8 + [304, 404, 500]), chance.randrange(100_000)
    agent, taken = chance.choice(_AGENTS), round(chance.expovariate(20), 3)
    return {
        "message": f'{ip} - - "GET {path} HTTP/1.1" {status} {size} "-" "{agent}" {taken}',
        "ip_address": bytes(map(int, ip.split("."))),
        "metadata": {
            "attributes": {
                "client.address": ip,
                "url.path": path,
                "http.response.status_code": status,
                "http.response.body.size": size,
                "user_agent.original": agent,
                "http.server.request.duration": taken,
            }
        },
    }


def _kubernetes(chance: random.Random, _: int) -> Fields:
    name = chance.choice(_WORDS[:40])
    pod = f"{name}-{chance.getrandbits(36):09x}-{chance.getrandbits(20):05x}"
    reason = chance.choice(["Scheduled", "Pulled", "Created", "Started", "Killing", "BackOff"])
    uid = f"{chance.getrandbits(128):032x}"
    return {
        "message": f"{reason}: container {name} of pod default/{pod} on node-{chance.randrange(40):02d}",
        "resource_type": "Pod",
        "resource_id": pod,
        "metadata": {
            "attributes": {
                "k8s.event.reason": reason,
                "k8s.pod.name": pod,
                "k8s.pod.uid": uid,
                "k8s.namespace.name": chance.choice(["default", "shop", "kube-system"]),
                "k8s.event.count": chance.randrange(1, 50),
                "k8s.pod.labels": {
                    "app": name,
                    "tier": chance.choice(["web", "db"]),
                    "v": str(chance.randrange(9)),
                },
            }
        },
    }


def _traces(chance: random.Random, number: int) -> Fields:
    trace = random.Random(number // 40).randbytes(16)
    route = chance.choice(_PATHS)
    events = [
        {
            "name": chance.choice(_WORDS[:20]),
            "offset_ns": chance.randrange(10**7),
            "attributes": {"n": n},
        }
        for n in range(chance.randrange(4))
    ]
    return {
        "kind": "span",
        "trace_id": trace,
        "span_id": chance.randbytes(8),
        "parent_span_id": chance.randbytes(8) if number % 40 else None,
        "duration_ns": int(chance.expovariate(1e-7)),
        "action": f"GET {route}",
        "message": f"GET {route} OK {chance.randrange(1000)} ms",
        "metadata": {
            "span": {
                "kind": chance.choice(["SERVER", "CLIENT", "INTERNAL"]),
                **({"events": events} if events else {}),
            },
            "attributes": {
                "http.route": route,
                "http.request.method": "GET",
                "http.response.status_code": chance.choice([200, 200, 200, 500]),
                "server.port": 8080,
                "db.statement": f"SELECT {chance.choice(_WORDS)} FROM t WHERE id = {chance.randrange(10**6)}",  # noqa: S608 - a span
                "thread.id": chance.randrange(64),
                "network.peer.address": f"10.0.{chance.randrange(4)}.{chance.randrange(250)}",
                "rpc.system": "grpc",
            },
        },
    }


def _text(chance: random.Random, _: int) -> Fields:
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [
        "".join(chance.choices(letters, k=chance.randrange(2, 11)))
        for _ in range(chance.randrange(8, 25))
    ]
    return {"message": " ".join(words), "metadata": {}}


KINDS: dict[str, Maker] = {
    "json": _json,
    "stacks": _stacks,
    "nginx": _nginx,
    "kubernetes": _kubernetes,
    "traces": _traces,
    "text": _text,
}


def _record(chance: random.Random, number: int, made: Fields, tail: int) -> Record:
    record = Record()
    created_ns = START_NS + number * 5_000_000 + chance.randrange(5_000_000)
    fields: Fields = {
        "kind": "log",
        "level": 1,
        "severity_number": 9,
        "created_unix_ns": created_ns,
        "odd_time": False,
        "stream_id": chance.randrange(20) - 10,
        "id": id_of(created_ns, tail & TAIL_MASK),
        "source_module": "checkout",
        "action": "log",
        "message": "",
        **dict.fromkeys(("duration_ns", "trace_id", "span_id", "parent_span_id", "ip_address")),
        **dict.fromkeys(("resource_type", "resource_id", "actor_id", "correlation_id")),
        **made,
    }
    fields["metadata"] = canonical(fields["metadata"])
    for name, value in fields.items():
        setattr(record, name, value)
    return record


def secret_of(batch_id: int) -> bytes:
    """A batch's secret that the packing process can compute again."""
    return hashlib.sha256(b"%d" % batch_id).digest()[:SECRET_BYTES]


def copy_bytes(kind: str, rows: int, seed: int = 1) -> Iterator[bytes]:
    """COPY tuples of a kind, in pieces of a request."""
    chance = random.Random(f"{kind} {seed}")
    make = KINDS[kind]
    for start in range(0, rows, BATCH):
        shared = chance.getrandbits(34)
        records = [
            _record(chance, number, make(chance, number), (number - start + 1) << 34 | shared)
            for number in range(start, min(rows, start + BATCH))
        ]
        parts = encode(
            RedactedBatch(Batch(records, {}, received=len(records))),
            batch_id=7_000_000 + start,
            received_unix_ns=START_NS + start * 5_000_000,
            ingest_key_id=0,
            classify=classify,
            secret=secret_of(7_000_000 + start),
        )
        yield from (part.copy_bytes for part in parts)
