"""Forecast: what the next run would remove, and which policies have changed."""

from dataclasses import dataclass
from datetime import datetime

from config.settings import Settings
from retention.expiry.run import plan_with
from retention.holding.holds import Holds
from retention.policy.catalogue import policies_in_force, recorded_policies, stored_segments
from retention.policy.plan import Plan
from retention.policy.rules import Policy
from storage.database.connection import Connection
from storage.packs.store import store_at


@dataclass(frozen=True, slots=True)
class Change:
    """A class whose policy has changed since the last run."""

    now: Policy
    before: Policy


@dataclass(frozen=True, slots=True)
class Forecast:
    """The plan under the current settings, and the changed policies."""

    plan: Plan
    changes: tuple[Change, ...]


async def forecast(connection: Connection, settings: Settings, now: datetime) -> Forecast:
    """What a run at `now` would do with these settings; any role, changes nothing."""
    found = await policies_in_force(
        connection, settings.retention, await stored_segments(connection)
    )
    recorded = {policy.class_name: policy for policy in await recorded_policies(connection)}
    changes = [
        Change(policy, recorded[name])
        for name, policy in sorted(found.items())
        if name in recorded
        and (policy.keep, policy.floor) != (recorded[name].keep, recorded[name].floor)
    ]
    store = store_at(settings.packs_dir)
    holds = await Holds.active(connection, now)
    plan = await plan_with(connection, store, found, holds, now)
    return Forecast(plan, tuple(changes))
