"""T3: checking a key takes the same steps for every wrong key."""

from datetime import UTC, datetime, timedelta

import pytest

from otlp_receiver.admission import keys
from otlp_receiver.errors import KeyRejected
from tests.contract.otlp.keyring import ring_of

PAST = datetime.now(UTC) - timedelta(seconds=1)


@pytest.mark.parametrize("name", ["unknown", "expired", "revoked", "almost"])
def test_every_wrong_key_costs_the_same_steps(name, monkeypatch):
    """One hash, one lookup, one error: keys are never compared character by character."""
    hashed = []

    def counting(secret, digest_of=keys.digest_of):
        hashed.append(len(secret))
        return digest_of(secret)

    monkeypatch.setattr(keys, "digest_of", counting)
    ring, secrets = ring_of(shop={}, expired={"expires_at": PAST}, revoked={"revoked_at": PAST})
    shown = {
        **secrets,
        "unknown": "opslog_" + "a" * 40,
        "almost": secrets["shop"][:-1] + "x",
    }[name]

    with pytest.raises(KeyRejected) as refused:
        ring.check(f"Bearer {shown}")

    assert str(refused.value) == "the ingest key is unknown, revoked or expired"
    assert hashed == [47]
