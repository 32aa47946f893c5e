"""Subtrees of the ledger, read from the database, for the sequencer's start and for proofs."""

from collections.abc import Callable, Iterable

from storage.database.connection import Connection
from storage.database.statements import statement
from storage.ledger.tree.merkle import (
    Frontier,
    Node,
    Subtree,
    consistency,
    edge_of,
    fold,
    inclusion,
    tile_of,
)


async def frontier(connection: Connection, size: int) -> Frontier:
    """The right edge of the tree of the first `size` entries."""
    edge = edge_of(size)
    roots = await _roots(connection, edge)
    return Frontier(size, [roots[node] for node in edge])


async def inclusion_path(connection: Connection, index: int, size: int) -> list[bytes]:
    """The proof that entry `index` is in the tree of the first `size`."""
    return await _proof(connection, lambda subtree: inclusion(index, size, subtree))


async def consistency_path(connection: Connection, old: int, size: int) -> list[bytes]:
    """The proof that the first `old` entries (1 or more) are unchanged since that size."""
    return await _proof(connection, lambda subtree: consistency(old, size, subtree))


async def _proof(connection: Connection, proof: Callable[[Subtree], list[bytes]]) -> list[bytes]:
    wanted: list[Node] = []

    def note(node: Node) -> bytes:
        wanted.append(node)
        return b""

    proof(note)
    roots = await _roots(connection, wanted)
    return proof(roots.__getitem__)


async def _roots(connection: Connection, nodes: Iterable[Node]) -> dict[Node, bytes]:
    roots = {}
    for node in nodes:
        height, places = tile_of(node)
        if height:
            rows = await connection.fetch(
                statement("ledger_nodes"), height, places.start, places.stop
            )
        else:
            rows = await connection.fetch(statement("ledger_hashes"), places.start, places.stop)
        roots[node] = fold([row["hash"] for row in rows])
    return roots
