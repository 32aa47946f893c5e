"""The corpus: everything marked is redacted, everything else stays, byte for byte."""

import json
import re

import pytest

from storage.redaction.redactor import Redactor
from tests.corpus.cases import REPLACEMENT, Case, cases

CASES = cases()


def redacted(redactor: Redactor, case: Case) -> str:
    """The redacted text, or the redacted attribute's value as JSON."""
    if not case.key:
        return redactor.text(str(case.value))[0]
    value, _ = redactor.value(case.key, case.value)  # type: ignore[arg-type]
    return json.dumps(value, ensure_ascii=False)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_marked_text_is_redacted_and_the_rest_stays(redactor: Redactor, case: Case) -> None:
    """Each line of tests/corpus, to the byte."""
    result = redacted(redactor, case)

    assert case.expected.fullmatch(result), result


def test_the_corpus_is_large_on_both_sides() -> None:
    """At least 300 cases, of texts to keep as well as of texts to redact."""
    hidden = sum(bool(case.hide) for case in CASES)

    assert hidden >= 300
    assert len(CASES) - hidden >= 300


def test_the_score(redactor: Redactor, capsys: pytest.CaptureFixture[str]) -> None:
    """Print the score of the corpus, so that a decline is visible before it is a failure."""
    secrets = kept = clean = strings = with_secrets = 0
    for case in CASES:
        result = redacted(redactor, case)
        bare = re.sub(REPLACEMENT, "", result)
        gone = [
            bare.count(secret) <= sum(piece.count(secret) for piece in case.keep)
            for secret in case.hide
        ]
        stayed = [piece in result for piece in case.keep]
        secrets += len(gone)
        strings += len(stayed)
        kept += sum(stayed)
        with_secrets += bool(gone)
        clean += bool(gone) and all(gone)

    with capsys.disabled():
        print(
            f"\nredaction corpus: {len(CASES)} cases, {secrets} secrets; records wholly clean "
            f"{clean}/{with_secrets} ({100 * clean / with_secrets:.1f} %), strings kept "
            f"{kept}/{strings} ({100 * kept / strings:.2f} %)"
        )
    assert clean == with_secrets
    assert kept >= 0.995 * strings


def test_the_second_pass_changes_nothing(redactor: Redactor) -> None:
    """A second pass leaves the output unchanged, so stored records can be scanned again."""
    for case in CASES:
        if not case.key:
            once, _ = redactor.text(str(case.value))
            assert redactor.text(once) == (once, ()), case.name
        else:
            once_value, _ = redactor.value(case.key, case.value)  # type: ignore[arg-type]
            assert redactor.value(case.key, once_value)[0] == once_value, case.name


def test_neighbours_do_not_hide_a_secret(redactor: Redactor) -> None:
    """The first pass reads messages and attributes of many records together, as one text."""
    cases = [case for case in CASES if not case.key]
    together = redactor.records([("done", [("note", str(case.value)), ("n", 1)]) for case in cases])
    as_messages = redactor.records([(str(case.value), []) for case in cases])
    for case, (_, _, attributes), (message, _, _) in zip(cases, together, as_messages, strict=True):
        alone, _ = redactor.text(str(case.value))
        assert attributes[0].value == alone, case.name
        assert message == alone, case.name
