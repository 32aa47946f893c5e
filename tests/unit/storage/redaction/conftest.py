"""A redactor with the default rules, and a factory for others."""

from collections.abc import Callable

import pytest

from config.settings import RedactionSettings
from storage.redaction.redactor import Redactor
from storage.redaction.tokens import HmacKeys

KEYS = HmacKeys({"k1": b"0123456789abcdef0123456789abcdef"}, current="k1")

Make = Callable[..., Redactor]


@pytest.fixture(scope="session")
def redactor() -> Redactor:
    """The default rules, unchanged."""
    return Redactor(RedactionSettings(), KEYS)


@pytest.fixture(scope="session")
def make() -> Make:
    """A redactor with custom settings."""

    def build(keys: HmacKeys = KEYS, **settings: object) -> Redactor:
        return Redactor(RedactionSettings.model_validate(settings), keys)

    return build
