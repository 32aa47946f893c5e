"""Evidence from the signed ledger, proofs and checkpoints: handlers, routes."""

from collections.abc import Iterable

from aiohttp import web

from config.access import Permission
from query.api.http.call import API, Call, Route
from query.api.http.models import AnyObject
from query.api.http.parameters import parameters
from query.api.http.responses import json_response
from query.api.records.records import RecordRoutes
from query.errors import NotFound
from query.language.filter_parameters import record_id
from storage.database.pool import Pool
from storage.database.statements import statement
from storage.ledger.proof import proof_of
from storage.packs.store import PackStore


class EvidenceRoutes:
    """The routes that return evidence."""

    def __init__(self, records: RecordRoutes, reader: Pool, store: PackStore | None) -> None:
        self._records = records
        self._reader = reader
        self._store = store

    def routes(self) -> Iterable[Route]:
        """The proof of a record, the latest checkpoint."""
        yield Route(
            method="GET",
            path=f"{API}/logs/{{id}}/proof",
            handler=self.proof,
            permission=Permission.LOGS_READ,
            audit_permission=Permission.AUDIT_READ,
            action="logs.prove",
            tag="evidence",
            summary="Proof that a record is in the signed ledger",
            response=AnyObject,
        )
        yield Route(
            method="GET",
            path=f"{API}/ledger/checkpoint",
            handler=self.checkpoint,
            permission=Permission.OPERATIONS_READ,
            action="ledger.read",
            tag="evidence",
            summary="Latest signed head of the ledger",
            media=("text/plain",),
        )

    async def proof(self, call: Call) -> web.Response:
        """GET /api/v1/logs/{id}/proof: input of the stand-alone verifier."""
        await self._records.one(call)  # raises NotFound if it does not exist or is not visible
        wanted = record_id("id", call.request.match_info["id"])
        async with self._reader.acquire() as connection:
            found = await proof_of(connection, wanted, self._store)
        if found is None:
            raise NotFound("No record has this id")
        call.rows = 1
        return json_response({"proof": [found]})

    async def checkpoint(self, call: Call) -> web.Response:
        """GET /api/v1/ledger/checkpoint: the latest signed head, as published."""
        parameters(call)
        async with self._reader.acquire() as connection:
            row = await connection.fetchrow(statement("newest_checkpoint"))
        if row is None:
            raise NotFound("The ledger has not been signed yet")
        return web.Response(text=row["note"], content_type="text/plain")
