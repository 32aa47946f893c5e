"""Keys of an installation: created once, private, the same for all processes."""

import concurrent.futures
import multiprocessing
from pathlib import Path

import jwt
import pytest

from config.errors import BadInput, SetupError
from config.settings import Settings
from opslog.installation.installation import Installation
from opslog.installation.secret_files import SecretFiles, key_id
from opslog.installation.tokens import TokenRequest, signed_token


def read_cursor_key(folder: Path) -> bytes:
    """In another process."""
    return SecretFiles(folder).cursor_key()


def read_hmac(folder: Path) -> tuple[str, dict[str, bytes]]:
    """In another process."""
    found = SecretFiles(folder).hmac()
    return found.current, found.keys


def test_a_key_is_made_once_and_only_ours_to_read(tmp_path):
    """Folder 0700, files 0600, no partial files."""
    keys = SecretFiles(tmp_path / "secrets")

    first = keys.cursor_key()

    assert keys.cursor_key() == first
    assert len(first) == 32
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert [path.name for path in (tmp_path / "secrets").iterdir()] == ["cursor.key"]
    assert (tmp_path / "secrets" / "cursor.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("read", [read_cursor_key, read_hmac])
def test_concurrent_processes_get_the_same_secret(tmp_path, read):
    """The first process creates it; the others read it."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(4, mp_context=context) as pool:
        found = list(pool.map(read, [tmp_path / "s"] * 8))

    assert all(each == found[0] for each in found)


def test_passwords_are_safe_in_addresses(tmp_path):
    """They are used in DSNs and configuration files."""
    keys = SecretFiles(tmp_path / "s")

    for password in (keys.postgres_password(), keys.valkey_password()):
        assert len(password) >= 43
        assert set(password) <= set(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        )


def test_a_new_hmac_key_becomes_current_and_the_old_one_stays(tmp_path):
    """Rotation is a file with the next number."""
    keys = SecretFiles(tmp_path / "s")
    before = keys.hmac()
    (tmp_path / "s" / "hmac" / "10-beef01").write_bytes(b"k" * 32)

    after = keys.hmac()

    assert after.current == "beef01"
    assert after.keys == {**before.keys, "beef01": b"k" * 32}
    assert repr(b"k" * 32) not in repr(after)


def test_a_node_may_have_the_public_key_alone(tmp_path):
    """It can verify tokens but not create them."""
    keys = SecretFiles(tmp_path / "s")
    public = keys.jwt_public_key()
    (tmp_path / "s" / "jwt-private.pem").unlink()

    assert SecretFiles(tmp_path / "s").jwt_public_key() == public
    assert keys.jwt_key_id() == key_id(public)


def test_an_unreadable_key_is_reported_with_its_path(tmp_path):
    """For instance, a folder with its name."""
    (tmp_path / "s" / "cursor.key").mkdir(parents=True)

    with pytest.raises(SetupError, match=r"cannot read the key .*cursor\.key"):
        SecretFiles(tmp_path / "s").cursor_key()


def test_tokens_say_what_they_should(tmp_path):
    """RS256 with the installation's key, every claim, the key's id in the header."""
    installation = Installation(Settings(data_dir=tmp_path))

    token = signed_token(installation, TokenRequest("NOC", hours=1, subject="dana"))

    public = installation.secrets.jwt_public_key()
    claims = jwt.decode(token, public, algorithms=["RS256"], audience="opslog", issuer="opslog")
    assert jwt.get_unverified_header(token)["kid"] == installation.secrets.jwt_key_id()
    assert (claims["role"], claims["sub"]) == ("NOC", "dana")
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["nbf"] <= claims["iat"]
    assert len(claims["jti"]) >= 16


@pytest.mark.parametrize(
    "token_request",
    [
        TokenRequest("ROOT"),
        TokenRequest("noc"),
        TokenRequest("NOC", hours=25),
        TokenRequest("NOC", hours=0),
        TokenRequest("NOC", hours=float("nan")),
    ],
)
def test_tokens_that_must_not_be_are_refused(tmp_path, token_request):
    """Exact role names, at most a day."""
    with pytest.raises(BadInput):
        signed_token(Installation(Settings(data_dir=tmp_path)), token_request)
