"""Inputs of a retention decision: segments, and the policies of their classes."""

import json
from collections.abc import Mapping

from config.retention import period_text
from config.settings import RetentionSettings
from retention.policy.plan import Stored
from retention.policy.rules import Policy, policies, with_former
from storage.database.connection import Connection
from storage.database.statements import statement
from storage.ledger.entries import enter


async def stored_segments(connection: Connection) -> list[Stored]:
    """Every segment that has, or may get, records."""
    rows = await connection.fetch(statement("stored_segments"))
    return [Stored(**row) for row in rows]


async def retiring_segments(connection: Connection) -> list[Stored]:
    """Segments marked for removal but not dropped yet: their records still exist."""
    rows = await connection.fetch(statement("retiring_segments"))
    names = tuple(Stored.__slots__)
    return [
        Stored(**{name: row[name] for name in names}) for row in rows if row["replaced_by"] is None
    ]


async def recorded_policies(connection: Connection) -> list[Policy]:
    """The policies recorded by the last run."""
    rows = await connection.fetch(statement("recorded_policies"))
    return [Policy(row["class"], row["rule"], row["keep"], row["floor"]) for row in rows]


async def policies_in_force(
    connection: Connection, settings: RetentionSettings, segments: list[Stored]
) -> dict[str, Policy]:
    """The policies of the settings, plus the last known ones of classes whose rule was removed."""
    classes = {stored.class_name for stored in segments}
    return with_former(policies(settings), await recorded_policies(connection), classes)


async def record_policies(
    connection: Connection, found: Mapping[str, Policy], *, trigger: str
) -> list[str]:
    """Store the policies in force, and enter changes in the ledger; returns changed classes."""
    changed = []
    async with connection.transaction():
        for policy in found.values():
            changed += await connection.fetch(
                statement("record_policy"),
                policy.class_name,
                policy.rule,
                policy.keep,
                policy.floor,
            )
        if changed:
            body = {"policy": policies_as_json(found), "by": trigger}
            await enter(connection, "policy", body)
    return [row["class"] for row in changed]


def policies_as_json(found: Mapping[str, Policy]) -> dict[str, dict[str, str]]:
    """Class to rule, keep and floor, as text."""
    return {
        name: {
            "rule": policy.rule,
            "keep": period_text(policy.keep),
            "floor": period_text(policy.floor),
        }
        for name, policy in sorted(found.items())
    }


def policies_text(found: Mapping[str, Policy]) -> str:
    """The same as JSON text."""
    return json.dumps(policies_as_json(found))
