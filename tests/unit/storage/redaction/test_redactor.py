"""The redactor: values of every kind, actors, the batch call, and failures to scan."""

from collections.abc import Callable
from typing import Never

import pytest

from config.errors import SetupError
from storage.record.canonical import object_of
from storage.record.record import Value
from storage.redaction.redactor import CanaryFailure, Redactor
from storage.redaction.tokens import HmacKeys

Make = Callable[..., Redactor]
MARK = "[REDACTED:secret_field]"


@pytest.mark.parametrize(
    ("key", "value", "safe"),
    [
        ("password", 12345, MARK),
        ("password", 1.5, MARK),
        ("password", True, True),
        ("password", None, None),
        ("pin", 4821, MARK),
        ("pin", 13, 13),
        ("tokens", 512, 512),
        ("card", 4111111111111111, "[REDACTED:credit_card]"),
        ("card", 4111111111111111.0, "[REDACTED:credit_card]"),
        ("card", 4111111111111112, 4111111111111112),
        ("ratio", 1e300, 1e300),
        ("ratio", float("inf"), float("inf")),
        ("body", b"password=hunter2x9", b"password=" + MARK.encode()),
        ("body", b"\xff\xfe token=a1b2c3d4e5 \xff", b"\xff\xfe token=" + MARK.encode() + b" \xff"),
        ("body", b"\xff\x00\x01", b"\xff\x00\x01"),
        ("password", b"\xff\x00\x01", MARK.encode()),
        ("auth", "basic", "basic"),
        ("auth", "dXNlcjpwYXNzd29yZA==", MARK),
        ("credentials", {"username": "bob", "port": 1, "x": "y1"}, {"username": "bob", "port": 1, "x": MARK}),
        ("cookies", {"sid": "abc", "path": "/"}, {"sid": "[REDACTED:cookie]", "path": "/"}),
        ("http.request.header.cookie", ["a=b; c=d"], ["a=[REDACTED:cookie]; c=[REDACTED:cookie]"]),
        ("authorization", ["Bearer abcdef123456"], ["Bearer [REDACTED:authorization]"]),
        ("authorization", "none", "none"),
        ("argv", ["x", "--token", "abc123", "--token=abc123"], ["x", "--token", MARK, f"--token={MARK}"]),
        ("argv", ["x", "-v", "abc123"], ["x", "-v", "abc123"]),
        ("raw", ["Host", "x", "Authorization", "Bearer abcdef123456"], ["Host", "x", "Authorization", "Bearer [REDACTED:authorization]"]),
        ("raw", ["authorization", "cookie", "x-api-key", "abc1"], ["authorization", "cookie", "x-api-key", MARK]),
        ("raw", ["password", "username"], ["password", "username"]),
        ("raw", [1, "abc", None], [1, "abc", None]),
        ("env", [{"name": "DB_PASSWORD", "value": "x1y2"}], [{"name": "DB_PASSWORD", "value": MARK}]),
        ("env", [{"name": "DB_HOST", "value": "h"}], [{"name": "DB_HOST", "value": "h"}]),
        ("env", {"name": "DB_PASSWORD"}, {"name": "DB_PASSWORD"}),
        ("m", {"a@b.example": 1, "c@d.example": 2}, {"[REDACTED:email]": 1, "[REDACTED:email] 1": 2}),
        ("jwk", {"kty": "oct", "k": "abc"}, {"kty": "oct", "k": MARK}),
        ("PWD", "/home/app", "/home/app"),
    ],
)  # fmt: skip
def test_values(redactor: Redactor, key: str, value: Value, safe: Value) -> None:
    """By type, by name, by their siblings."""
    assert redactor.value(key, value)[0] == safe


def test_an_actor_stays_joinable(redactor: Redactor) -> None:
    """An address becomes the same token wherever it acts; an opaque id stays."""
    first, hits = redactor.value("user.id", "Ada@Example.com ")
    second, _ = redactor.value("enduser.id", "ada@example.com")

    assert first == second
    assert str(first).startswith("hmac:k1:")
    assert hits == (("email", 1),)
    assert redactor.value("user.id", "u-42") == ("u-42", ())
    assert redactor.value("user.name", "Ada <ada@example.com>")[0] == "Ada <[REDACTED:email]>"
    assert redactor.value("user.id", str(first)) == (first, ())


def test_an_attribute_is_safe_in_key_and_value(redactor: Redactor) -> None:
    """With its canonical JSON, which is what is stored."""
    attribute = redactor.attribute("mail to a@b.example", {"password": "x1"})

    assert attribute.key == "mail to [REDACTED:email]"
    assert attribute.hits == (("email", 1), ("secret_field", 1))
    assert object_of([attribute]) == (
        b'{"mail to [REDACTED:email]": {"password": "[REDACTED:secret_field]"}}'
    )


def test_the_batch_call_does_the_same_as_single_calls(redactor: Redactor) -> None:
    """One pass over several records gives the same as `text` and `attribute`."""
    fresh: list[tuple[str, Value]] = [
        ("a", "plain"),
        ("b", "mail a@b.example"),
        ("password", "x1"),
        ("n", 3),
        ("m", {"x": "c@d.example"}),
        ("user.id", "u-1"),
        ("user.id", "a@b.example"),
    ]
    texts = ["all quiet", None, "token=abc123def4", "", "mail a@b.example", "quiet again"]

    results = redactor.records([(text, fresh) for text in texts] + [("quiet", [])])

    for text, (safe, hits, attributes) in zip(texts, results, strict=False):
        assert (safe, hits) == ((None, ()) if text is None else redactor.text(text))
        for attribute, (key, value) in zip(attributes, fresh, strict=True):
            alone = redactor.attribute(key, value)
            assert (attribute.json, attribute.hits) == (alone.json, alone.hits)
    assert results[-1] == ("quiet", (), [])
    assert redactor.records([]) == []


def test_texts_are_kept_separate_whatever_their_contents(redactor: Redactor) -> None:
    """Many texts are searched as one; a match over two of them, or a NUL in one, hides no other."""
    for texts in (
        ["token=", "abc123def4", "token=abc123def4", ""],
        ["nul \0 in it", "token=abc123def4", "\0"],
        ["naïve “ünicode”", "mail jörg@b.example and a@b.example", "é" * 50, "a@b.example"],
        ["eyJhbGciOiJIUzI1NiJ9", ".eyJzdWIiOiIxMjM0In0", ".c2lnbmF0dXJlc2lnbmF0dXJl"],
        ["a@b.example"] * 70,
    ):
        alone = [(*redactor.text(text), []) for text in texts]
        assert redactor.records([(text, []) for text in texts]) == alone


def test_an_anchored_rule_works_among_other_texts(make: Make) -> None:
    """Texts that are searched as one have only one beginning and one end."""
    rules = [
        {"name": "badge", "pattern": r"^badge \d{4}", "canary": "badge 1234"},
        {"name": "locker", "pattern": r"locker \d{4}\z", "canary": "my locker 1234"},
    ]
    redactor = make(rules=rules)
    texts = ["first", "badge 4711 seen", "no badge 4711", "at locker 4711", "locker 4711 seen"]

    safe = [text for text, _, _ in redactor.records([(text, [("a", "b")]) for text in texts])]

    assert safe == [redactor.text(text)[0] for text in texts]
    assert safe[1] == "[REDACTED:badge] seen"
    assert safe[3] == "at [REDACTED:locker]"
    assert safe[2] == texts[2]


def test_too_long_or_too_deep_values_are_not_stored(redactor: Redactor) -> None:
    """It fails closed: a marker for the whole."""
    deep: Value = "password=hunter2x9"
    for _ in range(300):
        deep = [deep]

    assert redactor.text("a" * (9 * 2**20))[0] == "[REDACTED:unscanned]"
    safe, hits = redactor.value("x", deep)
    assert "hunter2x9" not in str(safe)
    assert hits == (("unscanned", 1),)


def test_an_engine_failure_hides_everything(make: Make) -> None:
    """On any internal error, the text is replaced as a whole."""
    redactor = make()

    def broken(_: object) -> Never:
        raise RuntimeError("out of memory")

    redactor._scanner.hints_among = broken
    assert redactor.records([("mail a@b.example", [("a", "b"), ("c", "d@e.example")])])[0][:2] == (
        redactor.text("mail a@b.example")
    )

    redactor._scanner.hints = broken
    assert redactor.records([("hello", [])]) == [("[REDACTED:unscanned]", (("unscanned", 1),), [])]

    assert redactor.text("hello")[0] == "[REDACTED:unscanned]"
    assert redactor.value("x", "hello")[0] == "[REDACTED:unscanned]"
    assert redactor.value("x", {1: 2})[0] == "[REDACTED:unscanned]"  # no such value by type
    with pytest.raises(SetupError):
        redactor.require_healthy()
    assert {failure.rule for failure in redactor.self_test()} == {
        rule.name for rule in redactor.rules
    }


def test_two_rules_that_exhaust_the_budget_hide_the_whole_text(redactor: Redactor) -> None:
    """The text before the first one is scanned, and exhausts its budget as well."""
    text, hits = redactor.text("ab@cd.ef " * 1000 + "4111111111111111 " * 2300)

    assert text.replace("[REDACTED:too_dense]", "") == ""
    assert "too_dense" in dict(hits)


def test_a_too_dense_text_is_hidden_from_there_on(redactor: Redactor) -> None:
    """More secrets than can be separated in bounded time: the rest is hidden with them."""
    text, hits = redactor.text("pwd=a1b2 " * 20_000)

    assert text.endswith("[REDACTED:too_dense]")
    assert dict(hits)["too_dense"] == 1


def test_every_canary_is_found(redactor: Redactor) -> None:
    """At start, hourly, and in the readiness check."""
    assert redactor.self_test() == []
    redactor.require_healthy()
    assert CanaryFailure("x", "y").rule == "x"


def test_a_preview_stores_nothing_and_reports_the_matches(redactor: Redactor) -> None:
    """For the API and the command line."""
    preview = redactor.test("to a@b.example")
    assert (preview.result, preview.hits) == ("to [REDACTED:email]", (("email", 1),))
    assert redactor.test({"password": "x1"}).result == {"password": MARK}


def test_names_are_cached_within_bounds(make: Make) -> None:
    """Too many different names only clear the cache."""
    redactor = make()

    for number in range(9000):
        redactor.attribute(f"name{number}", 1)
        redactor.text(f"x{number}token=abc123")

    assert len(redactor._keys) <= 8192
    assert redactor.attribute("password", "x1").value == MARK


def test_no_secret_in_any_repr(redactor: Redactor) -> None:
    """Keys are named, never shown."""
    assert "0123456789" not in repr(HmacKeys({"k1": b"0123456789abcdef"}, current="k1"))
    assert "0123456789" not in repr(redactor)


@pytest.mark.parametrize("secret", ["AKIAIOSFODNN7ABCDEFG", "glpat-abcdefghij1234567890"])
def test_the_text_before_the_dense_part_is_scanned_by_every_rule(
    redactor: Redactor, secret: str
) -> None:
    """The rule that used up the budget is not the last one."""
    text, hits = redactor.text(f"first {secret} then " + "pwd=a1b2 " * 20_000)

    assert text.startswith("first [REDACTED:")
    assert secret not in text
    assert dict(hits)["too_dense"] == 1


def test_a_text_of_too_many_kinds_is_hidden_as_a_whole(redactor: Redactor) -> None:
    """Fails closed: dozens of rules each scan all of it."""
    every = " ".join(rule.canary for rule in redactor.rules) + " "

    text, hits = redactor.text((every * 100)[: 64 * 1024])

    assert dict(hits)["too_dense"] >= 1
    assert not any(rule.canary in text for rule in redactor.rules if rule.canary)


def test_siblings_name_values_only_in_small_maps(redactor: Redactor) -> None:
    """A sibling names a value only in small maps; in large ones each name counts itself."""
    many: dict[str, Value] = {f"field{n}": "x" for n in range(20)}

    safe, hits = redactor.value("settings", {**many, "password": "hunter2secret"})

    assert hits == (("secret_field", 1),)
    assert "hunter2secret" not in str(safe)


@pytest.mark.parametrize("value", [1234, 12.5, True, 4111111111111111, None, [1, "x"], {"a": 1}])
@pytest.mark.parametrize("key", ["password", "duration_ms", "user.id"])
def test_values_of_several_records_are_redacted_as_alone(
    redactor: Redactor, key: str, value: Value
) -> None:
    """What the shared first pass does not cover is redacted one by one: no texts."""
    ((_, _, (found,)),) = redactor.records([(None, [(key, value)])])

    alone = redactor.attribute(key, value)
    assert (found.key, found.json, found.hits) == (alone.key, alone.json, alone.hits)
