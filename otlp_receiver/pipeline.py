"""One OTLP request, from bytes to a durable receipt.

    decode   bytes on the wire  -> Export           decode.py, decode_json.py
    redact   Export             -> RedactedExport   redacting.py (rules: storage/redaction/)
    map      RedactedExport     -> RedactedBatch    mapping/
    encode   RedactedBatch      -> Frame            storage/framing.py, copy_binary.py
    append   Frame              -> on disk          storage/spool/   (fdatasync)

Stages are plain functions; only `append` waits. Redaction comes before mapping, so that nothing
derived from a value (message, actor, an error text, a dead letter) can hold a secret. The return
of `ingest` is the promise: what it says was received is on disk.
"""

import hashlib
import time
from dataclasses import dataclass, field

from otlp_receiver import metrics
from otlp_receiver.codec import Codec
from otlp_receiver.export import Encoding, Signal
from otlp_receiver.keys import KeyInfo
from storage import failpoints
from storage.framing import Framing
from storage.record import RedactedBatch
from storage.spool.frame import NO_HASH
from storage.spool.spool import Spool


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one export (answers.Outcome): everything it counts is on disk."""

    received: int
    rejected: dict[str, int]
    replaced_characters: int
    warnings: list[str] = field(default_factory=list)


class Ingest:
    """The pipeline of one receiver process; `receive.Sink` is what it looks like from HTTP."""

    def __init__(self, codec: Codec, spool: Spool, framing: Framing) -> None:
        self._codec = codec
        self._spool = spool
        self._framing = framing

    async def ingest(
        self, signal: Signal, encoding: Encoding, body: bytes, key: KeyInfo
    ) -> Receipt:
        """Make the export durable.

        Raises:
            BadPayload: the body is not what its content type says; `where` names the field.
            Unavailable: nothing was kept, the same request may be sent again.
        """
        failpoints.reach("recv.body")
        received_unix_ns = time.time_ns()
        batch_id = self._framing.next_batch_id(received_unix_ns)
        export = self._codec.decode(signal, encoding, body)
        redacted = self._codec.redact(export)
        batch = self._codec.map(redacted, received_unix_ns=received_unix_ns, key=key)
        if batch.received:
            frame = self._framing.frame(
                batch,
                batch_id=batch_id,
                received_unix_ns=received_unix_ns,
                signal=signal.value,
                ingest_key_id=key.id,
                request_hash=_request_hash(signal, key, body) if _may_recur(batch) else NO_HASH,
            )
            await self._spool.append(frame)
        for rule, count in batch.redactions.items():
            metrics.REDACTIONS.labels(rule).inc(count)
        failpoints.reach("ack.sent")
        return Receipt(batch.received, batch.rejected, batch.replaced_characters)


def _may_recur(batch: RedactedBatch) -> bool:
    """Whether equal bytes mean the same events twice: every record has a time of its own."""
    return bool(batch.records) and batch.every_record_has_time


def _request_hash(signal: Signal, key: KeyInfo, body: bytes) -> bytes:
    """What a retry of the same request has in common with it: key, path, inflated body.

    The encoding need not be part of it: no bytes are the same export in both.
    """
    return hashlib.sha256(b"%d %b\n" % (key.id, signal.value.encode()) + body).digest()
