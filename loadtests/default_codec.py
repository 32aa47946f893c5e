"""The codec of a receiver with its default settings, for benchmarks that have no receiver."""

from config.settings import LimitSettings, MappingSettings, RedactionSettings
from otlp_receiver.codec import Codec
from storage.redaction.redactor import Redactor
from storage.redaction.tokens import HmacKeys


def default_codec() -> Codec:
    """A fresh one, which has seen nothing yet."""
    redactor = Redactor(RedactionSettings(), HmacKeys({"bench": bytes(32)}, current="bench"))
    return Codec(redactor, LimitSettings(), MappingSettings())
