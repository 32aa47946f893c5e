"""The columns that a filter reads, so that their pages are fetched together."""

from storage.filtering.filters import (
    And,
    AttrCompare,
    AttrEquals,
    AttrPrefix,
    AttrPresent,
    AttrRegex,
    FieldCompare,
    FieldEquals,
    FieldIn,
    FieldPrefix,
    FieldPresent,
    Filter,
    IpIn,
    Not,
    Or,
    Regex,
    Text,
    TimeRange,
    ValueAt,
)
from storage.packs.schema import Plan
from storage.packs.search.attributes import TOP


def columns_of(condition: Filter, plan: Plan) -> frozenset[str]:
    """Names of columns of the file."""
    match condition:
        case And(of) | Or(of):
            return frozenset().union(*[columns_of(item, plan) for item in of])
        case Not(of):
            return columns_of(of, plan)
        case AttrEquals() | AttrCompare() | AttrPrefix() | AttrRegex() | AttrPresent():
            return _attribute(condition.name, plan)
        case FieldEquals() | FieldIn() | FieldCompare() | FieldPrefix() | FieldPresent() | Regex():
            name = condition.field.column
            return _ID if name == "id" else frozenset({name})
        case ValueAt(paths):
            tops = {path[0] for path in paths if path}
            own = [item.column for item in plan.promoted if () in paths or item.top in tops]
            return frozenset({"metadata_rest", "exceptions", *own})
        case _:
            return _OTHERS.get(type(condition), frozenset())


_ID = frozenset({"created_at", "created_ns", "position", "id_tail", "id_exact"})
_OTHERS: dict[type[Filter], frozenset[str]] = {
    Text: frozenset({"message"}),
    IpIn: frozenset({"ip_address"}),
    TimeRange: frozenset({"created_at", "created_ns"}),
}


def _attribute(name: str, plan: Plan) -> frozenset[str]:
    found = plan.promoted_at(TOP, name)
    own = () if found is None else (found[1].column,)
    return frozenset({"metadata_rest", "exceptions", *own})
