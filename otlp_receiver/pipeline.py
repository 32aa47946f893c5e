"""One OTLP request, from bytes to a durable receipt.

    decode   bytes on the wire  -> Export           protobuf/, json/
    redact   Export             -> RedactedExport   redaction/ (rules: storage/redaction/)
    map      RedactedExport     -> RedactedBatch    mapping/
    encode   RedactedBatch      -> Frame            storage/spool/framing.py, copy_binary.py
    append   Frame              -> on disk          storage/spool/   (fdatasync)

Stages are plain functions; only `append` waits. Bodies up to LARGE_BYTES are processed on the event
loop in slices, yielding in between; larger ones in a thread with separate memos, so that they do
not block other requests. Redaction precedes mapping, so that nothing derived from a value (message,
actor, error text, dead letter) can contain a secret. When `ingest` returns, everything that its
receipt counts is on disk.
"""

import asyncio
import hashlib
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from otlp_receiver import metrics
from otlp_receiver.admission.decode_queue import DecodeQueue
from otlp_receiver.admission.keys import KeyInfo
from otlp_receiver.codec import Codec
from otlp_receiver.export import Encoding, Signal
from storage import failpoints
from storage.record.record import RedactedBatch
from storage.spool.frame import NO_HASH, Frame
from storage.spool.framing import FrameBuilder, Framing
from storage.spool.spool import Spool

LARGE_BYTES = 2**20
"""A body of this size takes about 100 ms; SDKs and Collectors send less."""
MAX_WAIT_S = 3.0
"""Maximum time in the queue; with spool.append_timeout_s within the SDKs' timeout of 10 s."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Result of one export (response_bodies.Outcome): everything it counts is on disk."""

    received: int
    rejected: dict[str, int]
    replaced_characters: int
    warnings: list[str] = field(default_factory=list)
    rejected_at: dict[str, str] = field(default_factory=dict)


class Ingest:
    """The pipeline of one receiver process; implements `receive.Sink` for the HTTP layer."""

    def __init__(
        self, codec: Codec, spool: Spool, framing: Framing, *, max_wait_s: float = MAX_WAIT_S
    ) -> None:
        self._codec = codec
        self._spool = spool
        self._framing = framing
        self._decode_queue = DecodeQueue(max_wait_s)
        self._large_codec = codec.twin()
        self._large_decode_queue = DecodeQueue(max_wait_s)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="large-bodies")

    async def ingest(
        self, signal: Signal, encoding: Encoding, body: bytes, key: KeyInfo
    ) -> Receipt:
        """Make the export durable.

        Raises:
            BadPayload: the body does not match its content type; `where` names the field.
            Unavailable: nothing was stored; the same request may be retried.
        """
        failpoints.reach("recv.body")
        if len(body) < LARGE_BYTES:
            async with self._decode_queue:
                batch, frame = await self._frame_in_slices(
                    self._arrival(), (signal, encoding), body, key
                )
        else:
            async with self._large_decode_queue:
                batch, frame = await asyncio.get_running_loop().run_in_executor(
                    self._thread,
                    self._frame,
                    self._large_codec,
                    self._arrival(),
                    (signal, encoding),
                    body,
                    key,
                )
        if frame is not None:
            await self._spool.append(frame)
        if batch.redactions:
            metrics.soon(_count_redactions, batch.redactions)
        failpoints.reach("ack.sent")
        return Receipt(
            batch.received,
            batch.rejected,
            batch.replaced_characters,
            batch.warnings,
            batch.rejected_at,
        )

    def _arrival(self) -> tuple[int, int]:
        """The current time and a batch id derived from it."""
        received_unix_ns = time.time_ns()
        return received_unix_ns, self._framing.next_batch_id(received_unix_ns)

    def _frame(
        self,
        codec: Codec,
        arrival: tuple[int, int],
        kind: tuple[Signal, Encoding],
        body: bytes,
        key: KeyInfo,
    ) -> tuple[RedactedBatch, Frame | None]:
        """The frame of a body; None if it contains no record."""
        making = self._begin(arrival, key)
        redacted = codec.redact(codec.decode(*kind, body))
        for batch in codec.map_in_slices(redacted, received_unix_ns=arrival[0], key=key):
            making.take(batch)
        return batch, _finished(making, batch, kind[0], body, key)

    async def _frame_in_slices(
        self, arrival: tuple[int, int], kind: tuple[Signal, Encoding], body: bytes, key: KeyInfo
    ) -> tuple[RedactedBatch, Frame | None]:
        """The same on the event loop, yielding to other tasks (the writer's COPY) in between."""
        codec, making = self._codec, self._begin(arrival, key)
        redacted = codec.redact(codec.decode(*kind, body))
        slices = codec.map_in_slices(redacted, received_unix_ns=arrival[0], key=key)
        for number, batch in enumerate(slices):
            if number:
                await asyncio.sleep(0)
            making.take(batch)
        return batch, _finished(making, batch, kind[0], body, key)

    def _begin(self, arrival: tuple[int, int], key: KeyInfo) -> FrameBuilder:
        received_unix_ns, batch_id = arrival
        return self._framing.begin(
            batch_id=batch_id, received_unix_ns=received_unix_ns, ingest_key_id=key.id
        )


def _finished(
    making: FrameBuilder, batch: RedactedBatch, signal: Signal, body: bytes, key: KeyInfo
) -> Frame | None:
    if not batch.received:
        return None
    may_recur = making.rows and batch.every_record_has_time
    hashed = _request_hash(signal, key, body) if may_recur else NO_HASH
    return making.frame(batch, signal=signal.value, request_hash=hashed)


def _count_redactions(redactions: Mapping[str, int]) -> None:
    for rule, count in redactions.items():
        metrics.REDACTIONS.labels(rule).inc(count)


def _request_hash(signal: Signal, key: KeyInfo, body: bytes) -> bytes:
    """Hash to detect retries of the same request: key, path, decompressed body.

    Used only if equal bytes mean duplicate events: every record has its own time. The encoding need
    not be included: no bytes are a valid export in both.
    """
    hashed = hashlib.sha256(b"%d %b\n" % (key.id, signal.value.encode()))
    hashed.update(body)
    return hashed.digest()
