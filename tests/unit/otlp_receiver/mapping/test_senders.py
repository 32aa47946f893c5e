"""Level, message, event, ids and service where loggers put them.

Generated over the tables of the rules: every name in every spelling, as attribute, as body member
and nested in a body.
"""

from itertools import combinations

import pytest

from config.levels import LEVEL_NAMES, Level
from otlp_receiver.mapping.columns import levels, message, module, trace_ids
from tests.support.telemetry import (
    SPAN_ID,
    TRACE_ID,
    any_json,
    attributes_json,
    log,
    logs_json,
    metadata_of,
    one_log,
    span,
    spans,
    stored,
)
from tests.unit.otlp_receiver.test_explain import explained

WORDS = {
    "loglevel": ("log", "level"),
    "levelname": ("level", "name"),
    "severitytext": ("severity", "text"),
    "logseverity": ("log", "severity"),
    "renderedmessage": ("rendered", "message"),
    "messagetemplate": ("message", "template"),
    "shortmessage": ("short", "message"),
    "fullmessage": ("full", "message"),
    "traceid": ("trace", "id"),
    "spanid": ("span", "id"),
    "oteltraceid": ("otel", "trace", "ID"),
    "otelspanid": ("otel", "span", "ID"),
    "ddtraceid": ("dd", "trace_id"),
    "ddspanid": ("dd", "span_id"),
    "logginggoogleapiscom/trace": ("logging", "googleapis", "com/trace"),
    "logginggoogleapiscom/spanid": ("logging", "googleapis", "com/spanId"),
    "parentspanid": ("parent", "span", "id"),
    "parentid": ("parent", "id"),
}
"""The words of plain names of several."""


def spellings(name: str) -> list[str]:
    """How senders may spell a plain name."""
    words = WORDS.get(name, (name,))
    camel = words[0] + "".join(word[:1].upper() + word[1:] for word in words[1:])
    return sorted({
        name, name.upper(), ".".join(words), "_".join(words), "-".join(words), camel,
        camel[:1].upper() + camel[1:],
    })  # fmt: skip


def places_of(name: str, value):
    """(place, arguments of one_log) for each place of a name."""
    for spelled in spellings(name):
        yield f"attributes.{spelled}", {"attributes": {spelled: value}}
        yield f"body.{spelled}", {"body": {spelled: value, "other": 1}}
    first, *rest = WORDS.get(name, (name,))
    if rest and first in {"log", "trace", "span", "dd", "otel"}:
        inner = "_".join(rest)
        yield f"body.{first}.{inner}", {"body": {first: {inner: value}}}


# -- level --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "level"), levels.BY_TEXT.items())
@pytest.mark.parametrize("spell", [str, str.upper, str.title], ids=["lower", "upper", "title"])
def test_every_level_text_as_severity_text(text, level, spell):
    """OpenTelemetry's short names, one letter, three letters."""
    record = one_log(severityText=spell(text))

    assert Level(record.level) is level


@pytest.mark.parametrize("name", levels.NAMES)
def test_level_texts_under_every_name(name):
    """In attributes and bodies; explained by their place."""
    for where, sent in places_of(name, "Warning"):
        record = one_log(**sent)

        assert LEVEL_NAMES[record.level] == "WARN", where
        assert metadata_of(record)["level_source"] == where.partition(".")[0].rstrip("s"), where
        body = logs_json(log(**sent))
        assert explained(body)["records"][0]["fields"]["level"]["from"] == where


PINO = {10: "DEBUG", 20: "DEBUG", 30: "INFO", 35: "INFO", 40: "WARN", 50: "ERROR", 60: "CRITICAL"}


@pytest.mark.parametrize(("number", "level"), PINO.items())
@pytest.mark.parametrize("write", [int, str, float])
def test_numbers_of_pino_under_every_name(number, level, write):
    """As number, text and fraction."""
    for name in levels.NAMES:
        for where, sent in places_of(name, write(number)):
            assert LEVEL_NAMES[one_log(**sent).level] == level, where


@pytest.mark.parametrize("number", [0, 3, 9, 61, 100, 12.5, -10, True, "012", "3.0"])
def test_other_numbers_are_no_level(number):
    """GELF's and winston's numbers mean other things."""
    record = one_log({"level": number}, body={"level": number})

    assert metadata_of(record)["level_source"] == "default"


SYSLOG = ["CRITICAL", "CRITICAL", "CRITICAL", "ERROR", "WARN", "INFO", "INFO", "DEBUG"]


@pytest.mark.parametrize("name", levels.SYSLOG_NAMES)
@pytest.mark.parametrize("write", [int, str])
def test_severities_of_syslog(name, write):
    """As numbers and as texts, which journald sends."""
    for number, level in enumerate(SYSLOG):
        for sent in ({"attributes": {name: write(number)}}, {"body": {name: write(number)}}):
            assert LEVEL_NAMES[one_log(**sent).level] == level
    assert LEVEL_NAMES[one_log({name: "err"}).level] == "ERROR"


def test_a_priority_of_ones_own_is_no_severity():
    """An order's priority, in another case than journald's."""
    assert metadata_of(one_log({"priority": 1}))["level_source"] == "default"
    assert metadata_of(one_log(body={"priority": 1}))["level_source"] == "default"


def test_the_number_and_the_text_come_first():
    """What a logger says elsewhere never overrides them, and free text says nothing."""
    sent = {"attributes": {"level": "fatal"}, "body": {"level": "fatal"}}

    assert LEVEL_NAMES[one_log(severityNumber=9, **sent).level] == "INFO"
    assert LEVEL_NAMES[one_log(severityText="warn", **sent).level] == "WARN"
    assert LEVEL_NAMES[one_log({"note": "fatal"}, body="fatal error").level] == "INFO"


# -- message ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in message.BODY_NAMES if n not in message.TEMPLATES])
def test_the_message_of_a_map_under_every_name(name):
    """In any case."""
    for spelled in spellings(name):
        record = one_log(body={"a": 1, spelled: "started"})

        assert record.message == "started"
        body = logs_json(log(body={"a": 1, spelled: "started"}))
        shown = explained(body)["records"][0]["fields"]["message"]
        assert shown["from"] == f"body.{spelled}"


@pytest.mark.parametrize(
    "text", ["plain", "gr\u00fc\u00dfe", "with \x1b[31mcolour\x1b[0m", "nul \0 in it", "hunter2"]
)
def test_a_message_as_its_bytes(text):
    """journald: text, bytes, or a list of numbers; redacted as text."""
    shown = text.replace("\0", "\ufffd").replace("hunter2", "[hidden]")
    raw = text.encode()
    for value in (text, raw, list(raw)):
        record = one_log(body={"MESSAGE": value, "PRIORITY": "3"})

        assert LEVEL_NAMES[record.level] == "ERROR"
        if not (value is raw and "hunter2" in text):  # the test's redactor reads texts only
            assert record.message == shown
        assert str(list(b"hunter2"))[1:-1].encode() not in record.metadata


def test_a_list_that_is_no_text_stays_a_list():
    """Numbers out of range, other values, none."""
    for value in ([1, 300], [-1], ["a"], [1.5], []):
        assert metadata_of(one_log(body={"MESSAGE": value}))["body"] == {"MESSAGE": value}


TEMPLATES = [
    ("Order {Id} placed", {"Id": 7}, "Order 7 placed"),
    ("{@Order} by {$Who}", {"Order": {"a": 1}, "Who": "u"}, '{"a": 1} by u'),
    ("took {Elapsed:0.000} {{ms}} {Missing}", {"Elapsed": 1.5}, "took 1.5 {ms} {Missing}"),
    ("{Name,10} and {Name,-10:l}", {"Name": "n"}, "n and n"),
    ("no holes", {}, "no holes"),
    ("{", {}, "{"),
    ("hun{Rest}", {"Rest": "ter2"}, "[hidden]"),
]


@pytest.mark.parametrize(("template", "members", "expected"), TEMPLATES)
@pytest.mark.parametrize("name", sorted(message.TEMPLATES))
def test_templates_are_rendered_and_redacted(name, template, members, expected):
    """Serilog's compact and full JSON; a secret that appears only when composed is hidden."""
    for spelled in spellings(name):
        assert one_log(body={spelled: template, **members}).message == expected


def test_a_rendered_message_is_bounded():
    """Many holes of one long member."""
    record = one_log(body={"@mt": "{a}" * 1000, "a": "x" * 10_000})

    assert len(record.message) < 200_000


# -- events -------------------------------------------------------------------------------------

PLACES = [
    "event src/main.rs:863",
    "event /root/.cargo/registry/x-1.0/src/a b.rs:1",
    r"event a\b.rs:9",
]
EVENTS = ["event", "event.placed", "event main.py:5", "event src/main.rs", "order src/main.rs:5"]


@pytest.mark.parametrize("name", PLACES)
def test_a_place_in_rust_code_is_no_event(name):
    """event.name beside it counts; the name sent is kept."""
    beside = one_log({"event.name": "codex.sse_event", "n": 1}, eventName=name)
    alone = one_log(eventName=name)

    assert (beside.action, alone.action) == ("codex.sse_event", "log")
    assert (beside.message, alone.message) == (
        "codex.sse_event event.name=codex.sse_event n=1",
        "",
    )
    assert metadata_of(alone)["otel"]["event_name"] == name


@pytest.mark.parametrize("name", EVENTS)
def test_other_event_names_are_events(name):
    """Also those that look similar."""
    assert one_log({"event.name": "other"}, eventName=name).action == name


# -- trace and span -----------------------------------------------------------------------------


def written(name: str, size: int) -> list[tuple[object, str]]:
    """(value, id) in the forms in which a name carries ids of this size."""
    expected = TRACE_ID if size == trace_ids.TRACE_BYTES else SPAN_ID
    if name == "traceparent":
        return [(f"00-{TRACE_ID}-{SPAN_ID}-01", expected)]
    if name == "logginggoogleapiscom/trace":
        return [(f"projects/shop/traces/{TRACE_ID}", expected), (TRACE_ID, expected)]
    if name.startswith("dd"):
        number = int(SPAN_ID, 16)
        padded = SPAN_ID.rjust(2 * size, "0")
        wide = [(TRACE_ID, expected)] if size == trace_ids.TRACE_BYTES else []
        return [(number, padded), (str(number), padded), *wide]
    short = [(SPAN_ID, SPAN_ID.rjust(32, "0"))] if size == trace_ids.TRACE_BYTES else []
    return [(expected, expected), (expected.upper(), expected), *short]


@pytest.mark.parametrize("name", trace_ids.TRACE_NAMES)
def test_trace_ids_under_every_name(name):
    """Only where the record has none."""
    for value, expected in written(name, trace_ids.TRACE_BYTES):
        for where, sent in places_of(name, value):
            assert one_log(**sent).trace_id.hex() == expected, where
            own = one_log(traceId="11" * 16, spanId="22" * 8, **sent)
            assert own.trace_id.hex() == "11" * 16
            shown = explained(logs_json(log(**sent)))["records"][0]["fields"]["traceId"]
            assert shown["from"] == where.removeprefix("attributes.")


@pytest.mark.parametrize("name", trace_ids.SPAN_NAMES)
def test_span_ids_under_every_name(name):
    """With a trace id beside it."""
    for value, expected in written(name, trace_ids.SPAN_BYTES):
        for where, sent in places_of(name, value):
            assert one_log(traceId=TRACE_ID, **sent).span_id.hex() == expected, where


@pytest.mark.parametrize("name", trace_ids.TRACE_NAMES)
@pytest.mark.parametrize(
    "value", ["", "0", "0" * 32, "x" * 32, "abc", "-1", 0, -5, 2**63, True, None, ["a"], "9" * 60]
)
def test_what_is_no_id_is_none(name, value):
    """Too short, zeros, words."""
    if name == "ddtraceid" and value == 2**63:
        return  # a valid decimal id, larger than int64 allows
    number = value if value != 2**63 else 2**63 - 1
    if name == "ddtraceid" and number == 2**63 - 1:
        return
    assert one_log({name: number}).trace_id is None
    assert one_log(body={name: number}).trace_id is None


@pytest.mark.parametrize("name", trace_ids.PARENT_NAMES)
def test_parents_under_every_name(name):
    """Of spans."""
    for spelled in spellings(name):
        (record,) = spans(span({spelled: SPAN_ID}))

        assert record.parent_span_id.hex() == SPAN_ID


# -- sourceModule -------------------------------------------------------------------------------


@pytest.mark.parametrize("key", module.WORKLOADS.values())
def test_without_a_service_the_workload_names_the_module(key):
    """As attribute of the resource or of the record; explained."""
    of_resource = one_log(resource={key: "web"})
    body = logs_json(log(), resource={key: "web", "service.name": "unknown_service:java"})

    assert (of_resource.source_module, one_log({key: "web"}).source_module) == ("web", "web")
    shown = explained(body)["records"][0]["fields"]["sourceModule"]
    assert (shown["value"], shown["from"], shown["rule"]) == ("web", f"resource.{key}", "module")
    assert one_log({key: "web"}, resource={"service.name": "shop"}).source_module == "shop"
    assert one_log({key: "web"}, scope={"name": "logger"}).source_module == "logger"


@pytest.mark.parametrize(("better", "worse"), list(combinations(module.WORKLOADS.values(), 2)))
def test_the_best_workload_wins_wherever_it_is(better, worse):
    """A deployment of the resource comes before the record's file."""
    assert one_log({worse: "worse"}, resource={better: "better"}).source_module == "better"
    assert one_log({better: "better"}, resource={worse: "worse"}).source_module == "better"
    (record,) = spans(span({worse: "worse"}), resource={better: "better"})
    assert record.source_module == "better"


@pytest.mark.parametrize(
    ("body", "expected", "source"),
    [
        ({"SYSLOG_IDENTIFIER": "dockerd", "_SYSTEMD_UNIT": "x"}, "dockerd", "SYSLOG_IDENTIFIER"),
        ({"_SYSTEMD_UNIT": "docker.service"}, "docker.service", "_SYSTEMD_UNIT"),
        ({"appname": "su"}, "su", "appname"),
        ({"kubernetes": {"container_name": "web"}}, "web", "kubernetes.container_name"),
        ({"container_name": "/web-1"}, "web-1", "container_name"),
        ({"container_name": "x" * 60}, "x" * 41 + "-", "container_name"),
    ],
    ids=str,
)
def test_last_the_body_names_the_module(body, expected, source):
    """journald, syslog, Fluent Bit, Docker; anything else comes first."""
    assert one_log(body=body).source_module.startswith(expected)
    shown = explained(logs_json(log(body=body)))["records"][0]["fields"]["sourceModule"]
    assert shown["from"] == f"body.{source}"
    assert one_log({"log.file.name": "a.log"}, body=body).source_module == "a.log"
    assert one_log(body=body, resource={"service.name": "shop"}).source_module == "shop"


# -- exceptions ---------------------------------------------------------------------------------


def test_an_exception_has_the_resource_of_its_span():
    """So that the timeline of an order shows why it failed; its own comes first."""
    exception = {"name": "exception", "attributes": attributes_json({"exception.type": "E"})}
    own = {"name": "exception", "attributes": attributes_json({"resource.id": "7"})}

    _, first, second = spans(
        span({"resource.type": "order", "resource.id": "ORD-1"}, events=[exception, own])
    )

    assert (first.resource_type, first.resource_id) == ("order", "ORD-1")
    assert (second.resource_type, second.resource_id) == (None, "7")


def test_names_of_one_record_do_not_become_those_of_the_next():
    """Shapes and caches hold names, not values."""
    first, second = stored(
        logs_json(
            log(attributes=[{"key": "traceId", "value": any_json(TRACE_ID)}]),
            log(attributes=[{"key": "traceId", "value": any_json("x")}]),
        )
    ).records

    assert (first.trace_id.hex(), second.trace_id) == (TRACE_ID, None)
