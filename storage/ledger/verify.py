"""Verifies opslog's evidence without opslog: needs an export or a proof, the public key, this file.

    python verify.py [copies of heads …] FILE --key opslog/3f2c…+0a1b2c3d+AWx…

Needs Python 3.11 and the package cryptography. Two verdicts: integrity (no data was changed or
added) and completeness (no data is missing). Exit code 0: both hold; 1: one does not; 2: both hold,
with known gaps, such as rows that retention removed; 3: it cannot be verified.
"""

import argparse
import base64
import json
import struct
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from difflib import SequenceMatcher
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

INTEGRITY, COMPLETENESS = VERDICTS = ("integrity", "completeness")
LEAF, NODE, FIELDS, EPOCH_US, MINUTE_US = b"\0", b"\1", b"\0\x1a", 946_684_800_000_000, 60_000_000
COUNTERS = ("received", "derived", "stored", "duplicate", "dead")
_int4, _int8 = struct.Struct(">i").unpack_from, struct.Struct(">q").unpack_from


class Part(NamedTuple):
    """Rows of one batch expected in a segment; `absent`: leaves of rows that may be missing."""

    class_name: str
    digest: str
    leaves: int
    absent: dict[int, bytes]
    version: int


def hash_of(*pieces: bytes) -> bytes:
    """SHA-256. RFC 9162: the input of a leaf begins with LEAF, of an inner node with NODE."""
    return sha256(b"".join(pieces)).digest()


class Tree:
    """Incremental Merkle tree of RFC 9162."""

    def __init__(self) -> None:
        self.size, self.edge = 0, list[bytes]()

    def add(self, leaf: bytes) -> None:
        """Add a leaf hash."""
        place = self.size
        while place & 1:
            leaf, place = hash_of(NODE, self.edge.pop(), leaf), place >> 1
        self.edge.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The root over all leaves so far."""
        root = self.edge[-1] if self.edge else hash_of()
        for left in reversed(self.edge[:-1]):
            root = hash_of(NODE, left, root)
        return root


def part_digest(name: bytes, batch: int, leaves: Sequence[bytes], version: int) -> str:
    """The hash of a part: its leaves in order of position, framed; `version` of the encoding."""
    head = struct.pack(">BHH", 2, version, len(name)) + name
    return hash_of(head, struct.pack(">qi", batch, len(leaves)), *leaves).hex()


def entry_hash(seq: int, before: bytes, created_us: int, kind: str, body: str) -> bytes:
    """The hash of an entry; it covers the hash of the entry before."""
    head = f"opslog ledger entry 1\n{seq}\n{before.hex()}\n{created_us}\n{kind}\n"
    return hash_of(LEAF, head.encode(), body.encode())


def is_signed(key: str, data: bytes, signature: bytes) -> bool:
    """Whether the key NAME+HASH+KEY made this signature. ValueError: not such a key."""
    (name, hashed), raw = key.split("+", 2)[:2], base64.b64decode(key.split("+", 2)[2])
    if hash_of(f"{name}\n".encode(), raw)[:4].hex() != hashed:
        raise ValueError("the key's hash does not match the key")
    try:
        return Ed25519PublicKey.from_public_bytes(raw[1:]).verify(signature, data) is None
    except InvalidSignature:
        return False


def root_of(note: str, key: str) -> bytes | None:
    """The root in a head; None when the key did not sign it."""
    try:
        text, _, line = note.partition("\n\n")
        origin, _, root = text.split("\n")[:3]
        raw = base64.b64decode(line.rstrip("\n").rpartition(" ")[2], validate=True)
        is_own = [origin, raw[:4].hex()] == key.split("+", 2)[:2]
        valid = is_own and is_signed(key, f"{text}\n".encode(), raw[4:])
        return base64.b64decode(root, validate=True) if valid else None
    except ValueError:
        return None


def key_after(key: str, body: dict[str, str]) -> str | None:
    """The next key according to an entry key_rotate; None unless both keys signed it."""
    lines = ["opslog key rotation 1", key.partition("+")[0], body["old"], body["new"], ""]
    message = "\n".join(lines).encode()
    try:
        old, new = (base64.b64decode(body[f"signature_{which}"]) for which in ("old", "new"))
        valid = is_signed(key, message, old) and is_signed(body["new"], message, new)
        return body["new"] if valid and body["old"] == key else None
    except ValueError:
        return None


class Verifier:
    """Takes an export line by line; `report` returns the result."""

    def __init__(self, trusted: str) -> None:
        is_signed(trusted, b"", bytes(64))  # ValueError: not a key
        self.findings: list[tuple[Any, ...]] = []
        self.gaps, self.seen = list[str](), Counter[str]()
        self.trusted, self.key, self.is_trusted, self.is_whole = trusted, "", False, False
        self.tree, self.before, self.signed = Tree(), bytes(32), 0
        self.heads: dict[int, set[str]] = defaultdict(set)
        self.parts: dict[int, dict[int, Part]] = defaultdict(dict)
        self.roots, self.dropped = dict[int, str](), dict[int, str]()
        self.packs = dict[int, dict[str, Any]]()
        self.damaged, self.absent = set[int](), set[int]()
        self.facts: dict[tuple[object, ...], Any] = {}
        self.rows: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
        self.counts, self.live = Counter[tuple[int, str, str, str]](), set[int]()

    def fault(self, verdict: str, what: str, *place: int | None) -> None:
        """Record a finding; `place` is segment, batch, position."""
        self.findings.append((verdict, what, *place))

    def take(self, line: dict[str, Any]) -> None:
        """Process one line of an export; its only member names the method."""
        for name, values in line.items():
            getattr(self, f"take_{name}")(*values)

    def take_head(self, note: str) -> None:
        """A signed head. All of them come before the entries."""
        size = note.split("\n")[1:2]
        self.heads[int(size[0]) if size and size[0].isdecimal() else -1].add(note)

    def take_entry(self, seq: int, created_us: int, kind: str, body: str, hashed: str) -> None:
        """An entry of the ledger, in order of number."""
        if seq != self.tree.size:
            self.fault(COMPLETENESS, f"entry {self.tree.size} is missing, {seq} follows")
        if entry_hash(seq, self.before, created_us, kind, body).hex() != hashed:
            self.fault(INTEGRITY, f"entry {seq} ({kind}) was changed or moved")
        self.before = bytes.fromhex(hashed)
        self.tree.add(self.before)
        self.read_body(kind, json.loads(body), f"entry {seq}")
        size = self.tree.size
        for note in sorted(self.heads.pop(size, ())):
            if (root := root_of(note, self.key)) is None:
                self.fault(INTEGRITY, f"the head of {size} entries is not signed by the key")
            elif root != self.tree.root():
                self.fault(INTEGRITY, f"entries {self.signed} to {size - 1} are not those signed")
            self.signed = size

    def take_waiting(self, age_s: int, kind: str, body: str) -> None:
        """An entry that no head covers yet."""
        if age_s > 60:
            self.gaps.append(f"an entry ({kind}) has been waiting {age_s} s for its signature")
        self.read_body(kind, json.loads(body), "a waiting entry")

    def read_body(self, kind: str, body: dict[str, Any], name: str) -> None:
        """Apply an entry: keys, rows, segments."""
        if kind == "data":
            self.read_data(body)
        elif kind == "genesis":
            self.key = self.key or body["key"]
        elif kind == "key_rotate":
            if (new := key_after(self.key, body)) is None:
                self.fault(INTEGRITY, f"{name} rotates the key but is not signed by both keys")
            self.key = new or self.key
        elif kind == "seal":
            self.roots[body["segment"]] = body["root"]
        elif kind == "pack":
            self.packs[body["segment"]] = body
        elif kind == "unpack":
            self.packs.pop(body["segment"], None)
        elif kind in {"merge", "purge", "retire"}:
            self.read_removal(kind, body, name)
        elif kind in {"restore", "corrupt"}:
            self.gaps.append(f"{name}: {kind}: {body.get('reason') or body['what']}")
            self.heads.pop(body.get("head", -1), None)
        self.is_trusted |= self.key == self.trusted

    def read_data(self, body: dict[str, Any]) -> None:
        """One request: its counters, its streams, its rows in each segment."""
        batch, counters = body["batch"], [body[name] for name in COUNTERS]
        self.facts["batch", batch] = [*counters, body["rejected"]]
        key = ("minute", body["received_us"] // MINUTE_US, body["key"])
        counters.append(sum(body["rejected"].values()))
        self.facts[key] = list(map(int.__add__, self.facts.get(key, [0] * 6), counters))
        for text in body["streams"]:
            digest = bytes.fromhex(text) if len(text) == 64 else base64.b64decode(f"{text}=")
            number = int.from_bytes(digest[:8], "big", signed=True)
            self.facts["stream", number] = digest.hex()
        absent: dict[str, dict[int, bytes]] = defaultdict(dict)
        for class_name, position, leaf in body.get("missing", ()):
            absent[class_name][position] = bytes.fromhex(leaf)
            self.facts["dead letter", batch, position] = leaf
        for class_name, segment, _, _, digest, leaves in body["parts"]:
            part = Part(class_name, digest, leaves, absent[class_name], body.get("encoding", 1))
            self.parts[segment][batch] = part

    def read_removal(self, kind: str, body: dict[str, Any], name: str) -> None:
        """Segments were dropped: with all rows, or with all or some copied into another one."""
        source = [body["segment"]] if kind == "retire" else body["from"]
        parts: dict[int, Part] = {}
        for segment in source:
            parts |= self.parts.pop(segment, {})
            self.dropped[segment] = f"{kind} in {name}"
            self.packs.pop(segment, None)
        for batch, position, leaf in body.get("removed", ()):
            parts[batch].absent[position] = bytes.fromhex(leaf)
        if "kept" in body:
            old, parts = parts, {}
            for batch, n, digest in body["kept"]:
                parts[batch] = Part(body["class"], digest, n, {}, old[batch].version)
        if body.get("to") is not None:
            self.parts[body["to"]] |= parts
            self.roots.pop(body["to"], None)
        if kind != "merge":
            self.gaps.append(f"{name}: {kind} of {body['rows']} rows of segments {source}")

    def take_segment(self, number: int, class_name: str, state: str, there: int) -> None:
        """`there`: 1 rows follow, 2 not in this export, 3 unreadable, 0 no table, -1 detached.

        4: its pack is damaged, 5: a file of it is missing; `damage` follows.
        """
        self.rows.clear()
        self.counts.clear()
        parts, dropped = self.parts.get(number, {}), self.dropped.get(number)
        if dropped and there and state != "retiring":
            self.fault(COMPLETENESS, f"still exists after its {dropped}", number)
        if parts and there < 1:
            self.fault(COMPLETENESS, f"{len(parts)} batches are missing without an entry", number)
            del self.parts[number]
        if any(part.class_name != class_name for part in parts.values()):
            self.fault(INTEGRITY, f"its class was changed to {class_name!r}", number)
        if there == 3:
            self.fault(INTEGRITY, "its rows cannot be read", number)
        if there in {4, 5}:
            self.fault(COMPLETENESS, f"{len(parts)} batches cannot be read", number)
        if there == 5:
            self.absent.add(number)
        if there > 1 and self.parts.pop(number, {}) and there == 2:
            self.gaps.append(f"the rows of segment {number} are not in this export")

    def take_pack(self, number: int, data: str, index: str, is_whole: int) -> None:
        """SHA-256 of a segment's files; `is_whole`: they stand for its rows: none follow."""
        before, body, parts = len(self.findings), self.packs.get(number), self.parts.get(number, {})
        if body is None:
            return self.fault(INTEGRITY, "the ledger has no entry of its pack", number)
        for name, found in (("data", data), ("index", index)):
            if body[name] != found:
                self.fault(INTEGRITY, f"its {name} file is not the one in the ledger", number)
        digests = Tree()
        for _, part in sorted(parts.items()):
            digests.add(bytes.fromhex(part.digest))
        # Where rows are missing by an entry, the digests are those of before.
        if body["root"] != digests.root().hex() and not any(p.absent for p in parts.values()):
            self.fault(INTEGRITY, "its pack has other parts than the ledger", number)
        if is_whole:
            self.live |= self.parts.pop(number, {}).keys()
            self.seen.update(packs=before == len(self.findings))
        return None

    def take_damage(self, number: int, block: int | None, row: int | None, what: str) -> None:
        """What of a pack cannot be read: a block, its first row in the file, or all of it."""
        self.damaged.add(number)
        where = f"block {block}, rows from {row}: " if block is not None else ""
        verdict = COMPLETENESS if number in self.absent else INTEGRITY
        self.fault(verdict, f"{where}{what}", number)

    def take_rows(self, rows: str | bytes) -> None:
        """Rows of the segment of the next `take_end`: complete COPY tuples in any order."""
        data = base64.b64decode(rows) if isinstance(rows, str) else rows
        at, size = 0, _int4
        while at < len(data):
            if data[at : at + 2] != FIELDS:
                raise ValueError("a row has an unknown layout")
            start, minute = at, (_int8(data, at + 6)[0] + EPOCH_US) // MINUTE_US
            batch = _int8(data, at + 30)[0]
            at += 54 + max(size(data, at + 50)[0], 0)  # after duration_ns
            position = size(data, at + 4)[0]
            end = at + 28 + size(data, at + 24)[0]  # of level, after ingest_key_id and tenant
            level, kind = data[at + 28 : end].decode(), chr(data[end + 16])
            at = end + 37  # after created_ns, severity_number, kind, id
            for _ in range(5):  # trace_id, span_id, parent_span_id, nonce, ip_address
                at += 4 + max(size(data, at)[0], 0)
            module = data[at + 4 : at + 4 + size(data, at)[0]].decode()
            for _ in range(8):  # source_module to metadata
                at += 4 + max(size(data, at)[0], 0)
            self.rows[batch].append((position, hash_of(LEAF, data[start:at])))
            self.counts[minute, level, kind, module] += 1

    def take_end(self, number: int, rows: int | None, parts: list[Any], counts: list[Any]) -> None:
        """The end of a segment's rows: compare them with the ledger and with the counters."""
        expected, tree, before = self.parts.pop(number, {}), Tree(), len(self.findings)
        self.live |= expected.keys()
        marks = {batch: base64.b64decode(text) for batch, _, text in parts}
        for batch in sorted(self.rows.keys() | expected.keys()):
            found = sorted(self.rows[batch])
            self.check_part((number, batch), expected.get(batch), found, marks.get(batch, b""))
            for _, leaf in found:
                tree.add(leaf)
        if before == len(self.findings) and self.roots.get(number) not in {None, tree.root().hex()}:
            self.fault(INTEGRITY, "its rows are not those that were sealed", number)
        stored = {("rows", tree.size if rows is None else rows), *((b, n) for b, n, _ in parts)}
        stored |= {(tuple(key), n) for *key, n in counts if n}
        counted = {("rows", tree.size), *((b, len(r)) for b, r in self.rows.items() if r)}
        wrong = sorted(stored ^ counted ^ set(self.counts.items()), key=str)
        if wrong and before == len(self.findings) and number not in self.damaged:
            self.fault(INTEGRITY, f"counters were changed: {wrong[0]}", number)
        self.seen.update(segments=1, rows=tree.size)

    def check_part(
        self, place: tuple[int, int], part: Part | None, rows: list[tuple[int, bytes]], marks: bytes
    ) -> None:
        """Report rows that do not match the ledger."""
        if part is None:
            moved = "moved here" if ("batch", place[1]) in self.facts else "added"
            return self.fault(INTEGRITY, f"{len(rows)} rows were {moved}", *place, rows[0][0])
        rows = sorted([*rows, *part.absent.items()])
        leaves = [leaf for _, leaf in rows]
        name = part.class_name.encode()
        if part_digest(name, place[1], leaves, part.version) == part.digest:
            return None
        if len(rows) == len(part.absent):
            return self.fault(COMPLETENESS, f"all {part.leaves} rows are missing", *place)
        # The marks prove nothing, but identify the rows that differ. Those of packs are shorter.
        present = part.leaves - len(part.absent)
        size = 2 if len(marks) in {2 * part.leaves, 2 * present} else 4
        wanted = [marks[at : at + size] for at in range(0, len(marks), size)]
        if len(wanted) + len(part.absent) == part.leaves:  # a pack has none of absent rows
            rows = [row for row in rows if row[0] not in part.absent]
            leaves = [leaf for _, leaf in rows]
        shown = [leaf[:size] for _, leaf in rows]
        swapped = sorted(wanted) == sorted(shown)
        steps = SequenceMatcher(None, wanted, shown, autojunk=False).get_opcodes()
        for tag, first, end, at, stop in steps:
            for row in range(at, stop) if tag != "equal" else ():
                new = "was changed" if row - at < end - first else "was added"
                new = "was swapped" if swapped else new
                new = "is duplicated" if leaves.count(leaves[row]) > 1 else new
                self.fault(INTEGRITY, f"the row {new}", *place, rows[row][0])
            if (lost := end - first - stop + at) > 0 and not swapped:
                after = rows[stop - 1][0] + 1 if stop else 0
                self.fault(COMPLETENESS, f"{lost} rows are missing from here on", *place, after)
        if wanted == shown:
            self.fault(INTEGRITY, "rows were changed, and the marks that identify them", *place)
        return None

    def take_fact(self, kind: str, key: list[int], value: Any) -> None:
        """Stored data that is derived from the ledger."""
        if kind == "stream":
            texts = (text.encode() for text in value)
            value = hash_of(*(len(t).to_bytes(8, "big") + t for t in texts)).hex()
        elif kind == "dead letter":
            value = hash_of(LEAF, base64.b64decode(value)).hex()
        known = self.facts.pop((kind, *key), None)
        if known != value:
            change = "was added" if known is None else "was changed"
            self.fault(INTEGRITY, f"{kind} {', '.join(map(str, key))} {change}")

    def take_finish(self, form: str) -> None:
        """The last line: report what is missing."""
        self.is_whole = form in {"opslog-evidence/1", "opslog-evidence/2"}
        if not self.signed:
            raise ValueError("there is no ledger, or it has no head")
        if not self.is_trusted:
            self.fault(INTEGRITY, f"the ledger is signed with another key: {self.key}")
        if self.signed < self.tree.size:
            self.fault(INTEGRITY, f"no head covers entries {self.signed} to {self.tree.size - 1}")
        for size, notes in sorted(self.heads.items()):
            truncated = any(root_of(note, self.key) for note in notes)
            what = "covers missing entries" if truncated else "is not signed by the key"
            self.fault(VERDICTS[truncated], f"the head of {size} entries {what}")
        for number in filter(self.parts.get, [*self.parts]):
            self.fault(COMPLETENESS, "is missing without an entry", number)
        for kind, *key in self.facts:
            name = f"{kind} {', '.join(map(str, key))}"
            if kind == "dead letter":
                self.gaps.append(f"{name} no longer exists")  # expired with its class
            elif kind != "batch" or key[0] in self.live:
                self.fault(COMPLETENESS, f"{name} is missing")

    def take_proof(self, proof: dict[str, Any]) -> None:
        """One record: from its row to the leaves of its part, to the entry, to the head."""
        self.is_whole, self.seen["record"] = True, 1
        seq, created_us, kind, text = proof["entry"]
        blob, body = base64.b64decode(proof["leaves"]), json.loads(text)
        leaves = [blob[at : at + 32] for at in range(0, len(blob), 32)]
        if hash_of(LEAF, base64.b64decode(proof["row"])) not in leaves:
            self.fault(INTEGRITY, "the record is not one of its batch")
        name, version = proof["class"].encode(), body.get("encoding", 1)
        if part_digest(name, body["batch"], leaves, version) not in [p[4] for p in body["parts"]]:
            self.fault(INTEGRITY, "the batch is not the one in the ledger")
        node = entry_hash(seq, bytes.fromhex(proof["before"]), created_us, kind, text)
        for side, step in proof["path"]:  # the entry's hash covers its number, so sides are enough
            other = bytes.fromhex(step)
            node = hash_of(NODE, *((node, other) if side == "right" else (other, node)))
        for rotation in proof["rotations"]:
            if rotation["old"] == self.trusted:
                self.trusted = key_after(self.trusted, rotation) or ""
        if root_of(proof["head"], self.trusted) != node:
            self.fault(INTEGRITY, "the head does not cover the entry, or the key did not sign it")

    def report(self) -> list[str]:
        """The result as lines of text, both verdicts last."""
        if not self.is_whole:
            raise ValueError("the file is incomplete, or neither an export nor a proof")
        report = [f"known gap: {gap}" for gap in self.gaps]
        for verdict, what, *place in self.findings:
            at = map(", {} {}".format, ("segment", "batch", "position"), place)
            report.append(f"{verdict}{''.join(at)}: {what}")
        report.append(", ".join([f"{n} {what} checked" for what, n in self.seen.items()]))
        failed = {finding[0] for finding in self.findings}
        return report + [f"{v}: {'FAILED' if v in failed else 'holds'}" for v in VERDICTS]


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Check an export or a proof of opslog.")
    parser.add_argument("files", type=Path, nargs="+", help="copies of heads, then the export")
    parser.add_argument("--key", required=True, help="public key, as `opslog ledger key` prints it")
    options = parser.parse_args(arguments)
    try:
        verifier = Verifier(options.key)
        for path in options.files:
            with path.open(encoding="utf-8") as lines:
                for line in lines:
                    verifier.take(json.loads(line))
        sys.stdout.write("\n".join([*verifier.report(), ""]))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        sys.stderr.write(f"cannot be verified: {type(error).__name__}: {error}\n")
        return 3
    return 1 if verifier.findings else 2 if verifier.gaps else 0


if __name__ == "__main__":
    sys.exit(main())
