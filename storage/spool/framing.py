"""Encodes redacted batches as frames, for the receiver's pipeline and the access audit."""

import os

from storage.errors import SpoolNotReady
from storage.record.copy_binary import Classify, Encoder
from storage.record.nonces import SECRET_BYTES
from storage.record.record import RedactedBatch
from storage.spool.batch_ids import BatchIds
from storage.spool.frame import NO_HASH, Frame
from storage.spool.spool import Spool


class Framing:
    """Assigns the batch ids of one spool and encodes its frames."""

    def __init__(self, spool: Spool, classify: Classify) -> None:
        self._spool = spool
        self._classify = classify
        self._ids: BatchIds | None = None

    def next_batch_id(self, unix_ns: int) -> int:
        """The id of a request that arrived at `unix_ns`.

        Raises:
            SpoolNotReady: the spool has no number yet; nothing can be stored.
        """
        if self._ids is None:
            spool_id = self._spool.identity.spool_id
            if spool_id is None:
                raise SpoolNotReady("the database has not been reached yet; nothing was stored")
            self._ids = BatchIds(spool_id, self._spool.state.last_batch_id)
        return self._ids.next(unix_ns)

    def begin(
        self, *, batch_id: int, received_unix_ns: int, ingest_key_id: int = 0
    ) -> "FrameBuilder":
        """A builder for a frame whose records arrive in pieces."""
        secret = os.urandom(SECRET_BYTES)
        encoder = Encoder(
            batch_id=batch_id,
            received_unix_ns=received_unix_ns,
            ingest_key_id=ingest_key_id,
            classify=self._classify,
            secret=secret,
        )
        return FrameBuilder(encoder, batch_id, received_unix_ns, ingest_key_id, secret)

    def frame(
        self,
        batch: RedactedBatch,
        *,
        batch_id: int,
        received_unix_ns: int,
        signal: str,
        ingest_key_id: int = 0,
    ) -> Frame:
        """The batch as a frame; its records are removed from it."""
        builder = self.begin(
            batch_id=batch_id, received_unix_ns=received_unix_ns, ingest_key_id=ingest_key_id
        )
        builder.take(batch)
        return builder.frame(batch, signal=signal)


class FrameBuilder:
    """Encodes records as soon as they are mapped, while they are in the cache."""

    def __init__(
        self,
        encoder: Encoder,
        batch_id: int,
        received_unix_ns: int,
        ingest_key_id: int,
        secret: bytes,
    ) -> None:
        self._encoder = encoder
        self._secret = secret
        self._batch_id = batch_id
        self._received_unix_ns = received_unix_ns
        self._ingest_key_id = ingest_key_id

    @property
    def rows(self) -> int:
        """Records encoded so far."""
        return self._encoder.rows

    def take(self, batch: RedactedBatch) -> None:
        """Encode the batch's records, and remove them from it."""
        self._encoder.add(batch)
        batch.records.clear()

    def frame(self, batch: RedactedBatch, *, signal: str, request_hash: bytes = NO_HASH) -> Frame:
        """The frame: the encoded records, with the counts and streams of the batch."""
        return Frame(
            batch_id=self._batch_id,
            received_unix_ns=self._received_unix_ns,
            ingest_key_id=self._ingest_key_id,
            signal=signal,
            request_hash=request_hash,
            received=batch.received,
            derived=batch.derived,
            rejected=batch.rejected,
            streams=tuple(batch.streams.values()),
            parts=tuple(self._encoder.parts()),
            rejected_modules=tuple((*key, n) for key, n in batch.rejected_modules.items()),
            secret=self._secret,
        )
