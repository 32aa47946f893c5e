"""A codec with default settings, for benchmarks without a receiver."""

from config.settings import LimitSettings, MappingSettings, RedactionSettings
from otlp_receiver.codec import Codec
from storage.redaction.redactor import Redactor
from storage.redaction.tokens import HmacKeys


def default_codec() -> Codec:
    """Return a codec with empty caches."""
    redactor = Redactor(RedactionSettings(), HmacKeys({"bench": bytes(32)}, current="bench"))
    return Codec(redactor, LimitSettings(), MappingSettings())
