"""Key rings without a database, filled like a refresh from PostgreSQL does."""

from otlp_receiver.admission.keys import KeyRing
from storage.access.ingest_keys import HashedKey, KeyTerms, digest_of


def ring_of(*, required: bool = True, **terms: dict) -> tuple[KeyRing, dict[str, str]]:
    """A ring with a key per name, and the secret of each."""
    secrets = {name: f"opslog_{name:_<40}" for name in terms}
    ring = KeyRing(required=required)
    ring.replace(
        [
            HashedKey(
                id=number,
                name=name,
                digest=digest_of(secrets[name]),
                terms=KeyTerms(
                    **{key: value for key, value in given.items() if key != "revoked_at"}
                ),
                revoked_at=given.get("revoked_at"),
            )
            for number, (name, given) in enumerate(terms.items(), 1)
        ]
    )
    return ring, secrets
