"""What the room `retention` knows, as the API shows it (models_retention.py)."""

from datetime import UTC, datetime

from config.retention import period_text
from retention.holding.holds import Hold
from retention.policy.plan import Step, Stored
from retention.purging import purge
from retention.reporting import history
from retention.reporting.status import ClassStatus
from storage.record.times import rfc3339
from storage.segments.catalogue import Segment


def time_text(at: datetime | None) -> str | None:
    """A time, or null."""
    return None if at is None else rfc3339(at)


def step_shown(step: Step, *, is_due: bool) -> dict[str, object]:
    """What becomes of a segment."""
    return {
        "segment": step.stored.segment,
        "class": step.stored.class_name,
        "rule": step.rule,
        "goesAt": rfc3339(step.due_at),
        "action": step.action.value,
        "rows": step.stored.rows - step.held_rows,
        "bytes": step.stored.size,
        "heldRows": step.held_rows,
        "isDue": is_due,
    }


def run_shown(run: history.PastRun) -> dict[str, object]:
    """A run with its steps."""
    return {
        "id": run.run_id,
        "kind": run.kind,
        "askedBy": run.asked_by,
        "startedAt": rfc3339(run.began_at),
        "endedAt": time_text(run.ended_at),
        "outcome": run.outcome,
        "note": run.note,
        "segments": run.segments,
        "rows": run.rows,
        "bytes": run.size,
        "steps": [past_step_shown(step) for step in run.steps],
    }


def past_step_shown(step: history.RunStep) -> dict[str, object]:
    """What a run did to a segment."""
    return {
        "segment": step.segment,
        "class": step.class_name,
        "action": step.action,
        "rule": step.rule,
        "rows": step.rows,
        "bytes": step.size,
        "root": step.root.hex() if step.root else None,
        "toSegment": step.to_segment,
        "keptRows": step.kept_rows,
        "at": rfc3339(step.at),
    }


def class_shown(each: ClassStatus) -> dict[str, object]:
    """A class against its rule."""
    policy = each.policy
    return {
        "class": each.class_name,
        "rule": policy.rule if policy else None,
        "keep": period_text(policy.keep) if policy else None,
        "floor": period_text(policy.floor) if policy else None,
        "segments": each.segments,
        "heldSegments": each.held_segments,
        "rows": each.rows,
        "bytes": each.size,
        "diskBytes": each.disk_bytes,
        "oldest": time_text(each.oldest),
        "dueAt": time_text(each.due_at),
        "overdue": f"{each.overdue.total_seconds() / 3600:.0f}h" if each.overdue else None,
    }


def hold_shown(hold: Hold) -> dict[str, object]:
    """A hold."""
    return {
        "id": hold.hold_id,
        "name": hold.name,
        "q": hold.shown,
        "reason": hold.why,
        "createdBy": hold.made_by,
        "createdAt": rfc3339(hold.made_at),
        "until": time_text(hold.ends_at),
        "releasedAt": time_text(hold.released_at),
        "releasedBy": hold.released_by,
        "releaseReason": hold.released_why,
        "isActive": hold.is_active(datetime.now(UTC)),
    }


def purged_shown(state: purge.PurgeState) -> dict[str, object]:
    """How far a purge has come."""
    return {
        "id": state.purge_id,
        "token": None,
        "expiresAt": None,
        "rows": state.rows,
        "bytes": state.size,
        "segments": state.segments,
        "heldRows": state.held_rows,
        "protectedRows": state.protected_rows,
        "isDone": state.done_at is not None,
    }


def segment_shown(stored: Stored, known: Segment | None) -> dict[str, object]:
    """A segment; `known`: its row in the catalogue."""
    return {
        "number": stored.segment,
        "class": stored.class_name,
        "state": stored.state,
        "rows": stored.rows,
        "bytes": stored.size,
        "diskBytes": stored.disk_bytes,
        "isHold": stored.is_hold,
        "oldestArrival": time_text(stored.oldest),
        "newestArrival": time_text(stored.newest),
        "minCreatedAt": time_text(known.min_created_at if known else None),
        "maxCreatedAt": time_text(known.max_created_at if known else None),
    }
