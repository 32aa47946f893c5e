"""The route table: the routes of all groups. A route that is not in it does not exist (app.py).

A test requests every route with every role; system/openapi.py documents the table. A new group:
a module with a class that has `routes()`, and a field of `Groups`.
"""

from dataclasses import dataclass, fields

from query.api.http.call import Route
from query.api.operations.dead_letters import DeadLetterRoutes
from query.api.operations.evidence import EvidenceRoutes
from query.api.operations.holds import HoldRoutes
from query.api.operations.ingest import IngestRoutes
from query.api.operations.keys import KeyRoutes
from query.api.operations.purge import PurgeRoutes
from query.api.operations.redaction import RedactionRoutes
from query.api.operations.retention import RetentionRoutes
from query.api.records.export import ExportRoutes
from query.api.records.facets import FacetRoutes
from query.api.records.live import LiveRoutes
from query.api.records.patterns import PatternRoutes
from query.api.records.records import RecordRoutes
from query.api.records.statistics import StatisticsRoutes
from query.api.records.traces.one import TraceRoutes
from query.api.records.traces.search import TraceSearchRoutes
from query.api.system.documentation import DocumentationRoutes
from query.api.system.health import HealthRoutes
from query.api.system.sessions import SessionRoutes
from query.api.system.viewer import ViewerRoutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """All groups of routes, in the order of the documentation."""

    health: HealthRoutes
    viewer: ViewerRoutes
    ingest: IngestRoutes
    evidence: EvidenceRoutes
    dead_letters: DeadLetterRoutes
    records: RecordRoutes
    statistics: StatisticsRoutes
    facets: FacetRoutes
    patterns: PatternRoutes
    trace: TraceRoutes
    trace_search: TraceSearchRoutes
    live: LiveRoutes
    export: ExportRoutes
    sessions: SessionRoutes
    keys: KeyRoutes
    redaction: RedactionRoutes
    retention: RetentionRoutes
    holds: HoldRoutes
    purge: PurgeRoutes
    documentation: DocumentationRoutes


def routes(groups: Groups) -> tuple[Route, ...]:
    """All routes; fixed path segments before placeholders."""
    table = [route for field in fields(groups) for route in getattr(groups, field.name).routes()]
    groups.documentation.describe(table)
    return tuple(sorted(table, key=_segments))


def _segments(route: Route) -> tuple[bool, ...]:
    """Which segments of the path are placeholders: sorts fixed ones first."""
    return tuple("{" in segment for segment in route.path.split("/"))
