"""SIGHUP: changed settings, or a reason to keep the current ones."""

import pytest

from config.errors import SetupError
from config.loading.load import load
from opslog.supervisor.reload import FIXED, Reload


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "opslog.toml"
    path.write_text("")
    monkeypatch.setenv("OPSLOG_DATA_DIR", str(tmp_path))
    return path


def reload_of(file) -> Reload:
    return Reload(load({"OPSLOG_DATA_DIR": str(file.parent)}, config=file))


def test_changes_are_named_once(file):
    reload = reload_of(file)
    file.write_text("[redaction]\nsecret_keys = ['shoesize']\n[writer]\nlinger_ms = 20\n")

    assert sorted(reload.check()) == ["redaction.secret_keys", "writer.linger_ms"]
    assert reload.check() == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[writer\n", "opslog.toml"),
        ("writer.lingerms = 3\n", "did you mean writer.linger_ms"),
        ("otlp.port = 4319\n", "otlp.port: restart `opslog up`"),
        ("[redaction]\nrules = [{name = 'mine', pattern = '(('}]\n", "redaction.rules[0].pattern"),
        ("auth.public_key_file = 'nowhere.pem'\n", "auth.public_key_file cannot be read"),
        ("[otlp]\ntls_cert = 'none.pem'\ntls_key = 'none.key'\n", "none.pem"),
    ],
)
def test_what_a_process_would_not_start_with_changes_nothing(file, content, said):
    """Otherwise it would be restarted in a loop."""
    reload = reload_of(file)
    file.write_text(content)

    with pytest.raises(SetupError) as raised:
        reload.check()

    assert said in str(raised.value)
    file.write_text("")
    assert reload.check() == []


def test_a_file_that_is_gone_changes_nothing(file):
    reload = reload_of(file)
    file.unlink()

    with pytest.raises(SetupError):
        reload.check()


def test_what_is_fixed_is_a_setting(file):
    loaded = load({"OPSLOG_DATA_DIR": str(file.parent)}, config=file)

    assert set(loaded.origins) >= FIXED
