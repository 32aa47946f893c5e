"""The tables of docs/mapping.md match the rules in the code."""

import re
from pathlib import Path

import pytest

from config.levels import Level
from config.settings import LimitSettings
from otlp_receiver.explain import RULES
from otlp_receiver.mapping.columns import (
    action,
    actor,
    address,
    correlation,
    identity,
    levels,
    module,
    names,
    resource,
    trace_ids,
)
from otlp_receiver.mapping.columns.message import BODY_NAMES
from otlp_receiver.mapping.columns.times import FUTURE_NS, PAST_NS
from otlp_receiver.mapping.reject_reasons import REASONS
from otlp_receiver.tally import MAX_NODES

TEXT = (Path(__file__).parents[4] / "docs" / "mapping.md").read_text()
SECTIONS = dict(re.findall(r"^#{2,3} (.+?)\n(.*?)(?=^#|\Z)", TEXT, re.MULTILINE | re.DOTALL))


def listed(section: str) -> list[str]:
    """The first name of each list item of a section."""
    return re.findall(r"^\d+\. `([^`]+)`", SECTIONS[section], re.MULTILINE)


def table(section: str, column: str) -> dict[str, str]:
    """The table of a section whose first column has this title."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", SECTIONS[section], re.MULTILINE)
    start = next(place for place, row in enumerate(rows) if row[0] == column)
    found = {}
    for name, meaning in rows[start + 1 :]:
        if meaning == rows[start][1] and name != column:
            break
        found[name] = meaning
    return found


@pytest.mark.parametrize(
    ("section", "keys"),
    [
        ("actorId", actor.KEYS),
        ("ipAddress", address.KEYS),
        ("correlationId", correlation.KEYS),
        ("resourceType, resourceId", [pair[0] for pair in resource.PAIRS]),
        ("id", identity.NATURAL_KEYS),
    ],
)
def test_the_sources_of_a_column_are_listed_in_their_order(section, keys):
    """The first match applies, so the order is the rule."""
    assert listed(section) == list(keys)


def test_the_sources_of_the_action_are_listed_in_their_order():
    """The deprecated event names in the order of the rule."""
    assert tuple(listed("action")[1:5]) == action.EVENT_KEYS
    for name in (*action.METHOD_KEYS, action.ROUTE_KEY, *action.FUNCTION_KEYS):
        assert f"`{name}`" in SECTIONS["action"]


def test_every_column_has_its_section():
    """One for each field of an explanation."""
    titles = {name for title in SECTIONS for name in title.split(", ")}

    assert set(RULES) <= titles


def test_the_severity_numbers_are_those_of_the_rule():
    """24 numbers, five levels."""
    documented = {}
    for numbers, level in table("level", "severity number").items():
        first, _, last = numbers.partition("–")
        if last:
            documented |= dict.fromkeys(range(int(first), int(last) + 1), Level[level])

    assert documented == levels.BY_NUMBER


def test_the_severity_texts_are_those_of_the_rule():
    """Every token with its level."""
    rows = table("level", "severity text, in any case")
    documented = {
        token: Level[level] for tokens, level in rows.items() for token in tokens.split(", ")
    }

    assert documented == levels.BY_TEXT


@pytest.mark.parametrize(
    ("section", "listed_names"),
    [
        ("level", [*levels.NAMES, *levels.SYSLOG_NAMES]),
        ("sourceModule", [*module.WORKLOADS.values(), *module.BODY_NAMES]),
        ("message", BODY_NAMES),
        ("traceId, spanId, parentSpanId", [*trace_ids.TRACE_NAMES, *trace_ids.PARENT_NAMES]),
        ("traceId, spanId, parentSpanId", trace_ids.SPAN_NAMES),
    ],
)
def test_the_names_that_loggers_use_are_listed_in_their_order(section, listed_names):
    """The first with a value counts."""
    place = 0
    for name in listed_names:
        place = SECTIONS[section].find(f"`{name}`", 0 if "trace" in section else place)
        assert place >= 0, name


def test_the_maps_that_are_searched_are_listed():
    """In which names may be nested."""
    assert all(f"`{name}`" in TEXT.partition("## Columns")[0] for name in names.NESTED)


def test_the_reasons_are_the_closed_list():
    """Of rejected records."""
    rows = table("Rejected records", "reason")

    assert {name.strip("`") for name in rows} == set(REASONS)


def test_metadata_has_exactly_these_keys():
    """There are no others."""
    rows = table("metadata", "key")

    assert {name.strip("`") for name in rows} == {
        "attributes",
        "body",
        "span",
        "exception",
        "otel",
        "redaction",
        "time_quality",
        "level_source",
        "audit",
    }


def test_the_limits_are_the_defaults():
    """The numbers for times and lists match the code."""
    limits = LimitSettings()

    assert (limits.message_bytes, limits.value_bytes) == (2**20, 2**20)
    assert (limits.key_bytes, limits.attributes, limits.depth) == (1024, 1024, 64)
    assert f"{MAX_NODES:,}" in SECTIONS["Limits"]
    assert f"{limits.request_rows:,} records" in SECTIONS["Rejected records"]
    assert (PAST_NS, FUTURE_NS) == (400 * 86_400 * 10**9, 86_400 * 10**9)
    assert all(f"`{name}`" in SECTIONS["resourceType, resourceId"] for name in resource.OPTIONAL)
