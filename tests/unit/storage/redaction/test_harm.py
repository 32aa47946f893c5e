"""What redaction destroys of numbers that only look like cards, and what it finds of cards."""

import pytest

from storage.redaction.recognition.cards import ID_WORDS, is_other_number
from storage.redaction.redactor import Redactor
from tests.corpus.shapes import CARDS, OTHERS, Shape, samples

COUNT = 400


def redacted(redactor: Redactor, shape: Shape) -> list[tuple[str, str]]:
    """The samples (place, text) whose number is redacted: in texts, and as attributes."""
    found: list[tuple[str, str]] = []
    for number, text, key in samples(shape, COUNT):
        if number not in redactor.text(text)[0]:
            found.append(("text", text))
        if redactor.attribute(key, number).value != number:
            found.append((key, number))
        sent = int(number)
        if redactor.attribute(key, sent).value != sent:
            found.append((f"{key} as a number", number))
    return found


@pytest.mark.parametrize("shape", OTHERS, ids=lambda shape: shape.name)
def test_numbers_that_are_no_cards_are_kept(redactor: Redactor, shape: Shape) -> None:
    """All of them, beside their names."""
    assert redacted(redactor, shape) == []


@pytest.mark.parametrize("shape", CARDS, ids=lambda shape: shape.name)
def test_cards_are_redacted(redactor: Redactor, shape: Shape) -> None:
    """All of them, beside a word for cards; those of more than 13 digits without one as well."""
    assert len(redacted(redactor, shape)) == 3 * COUNT
    for number, _, _ in samples(shape, 50):
        for text in (number, f"paid {number}", f"user 7 {number} EUR"):
            assert (number in redactor.text(text)[0]) == (len(number) == 13)


@pytest.mark.parametrize("word", sorted(ID_WORDS))
def test_every_word_for_ids_before_a_number(redactor: Redactor, word: str) -> None:
    """In the spellings of texts and names; not if the name speaks of cards, or for groups."""
    number = "4111111111111111"
    for name in (f"{word}=", f"{word}: ", f"{word} ", f'"{word}":"', f"x_{word}=", f"{word}_no ",
                 f"the{word.capitalize()}=", f"/{word}/"):  # fmt: skip
        assert redactor.text(name + number)[0] == name + number
    assert number not in redactor.text(f"card_{word}={number}")[0]
    assert number not in redactor.text(f"{word} 12 {number}")[0]
    assert "1111" not in redactor.text(f"{word} 4111 1111 1111 1111")[0]


@pytest.mark.parametrize(
    "word", ["paid", "ordered", "lid", "border", "account", "customer", "discard"]
)
def test_other_words_do_not_protect_a_number(redactor: Redactor, word: str) -> None:
    """Also those that end like a word for ids."""
    assert "4111" not in redactor.text(f"{word} 4111111111111111")[0]


@pytest.mark.parametrize("text", ["discard @", "wildcard @", "@", "scan @", "pancake @"])
def test_words_that_are_none_for_cards(redactor: Redactor, text: str) -> None:
    """A 13-digit number needs one."""
    sent = text.replace("@", "4222222222222")

    assert redactor.text(sent)[0] == sent


def test_a_number_of_a_map_of_a_card() -> None:
    """The map's name counts for its members."""
    assert not is_other_number(b"card.number=4222222222222", 12, 25)
    assert is_other_number(b"item.number=4222222222222", 12, 25)


def test_a_card_in_a_map_is_judged_by_the_map(redactor: Redactor) -> None:
    """{"card": {"number": …}}, as text and as number."""
    for number in ("4222222222222", 4222222222222):
        sent = {"card": {"number": number}, "item": {"number": number}}

        kept = redactor.attribute("data", sent).value

        assert str(number) not in str(kept["card"])
        assert kept["item"] == {"number": number}
