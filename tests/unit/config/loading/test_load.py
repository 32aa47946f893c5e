"""Origins of settings, and errors caused by typos."""

from pathlib import Path

import pytest

from config.errors import SetupError
from config.loading.load import DEFAULT, load
from config.loading.names import FIELDS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str) -> Path:
    """Write a settings file."""
    path.write_text(text, encoding="utf-8")
    return path


def error_of(environ: dict[str, str], config: Path | None = None) -> str:
    """The error message for invalid settings."""
    with pytest.raises(SetupError) as caught:
        load(environ, config=config)
    return str(caught.value)


def test_the_defaults_apply_without_any_configuration(folder: Path) -> None:
    """Every setting has an origin, and there is a data directory."""
    loaded = load({})

    assert loaded.settings.otlp.port == 4318
    assert loaded.settings.data_dir.is_absolute()
    assert loaded.origins == dict.fromkeys(FIELDS, DEFAULT)


def test_environment_overrides_file_and_file_overrides_defaults(folder: Path) -> None:
    """Each of the three sources is used, and recorded with its location."""
    file = write(folder / "opslog.toml", '[otlp]\nhost = "127.0.0.2"\nport = 1111\n')

    loaded = load({"OPSLOG_OTLP__PORT": "2222"})

    assert (loaded.settings.otlp.host, loaded.settings.otlp.port) == ("127.0.0.2", 2222)
    assert str(loaded.origins["otlp.port"]) == "environment OPSLOG_OTLP__PORT"
    assert str(loaded.origins["otlp.host"]) == f"file {file}:2"
    assert loaded.origins["api.port"] is DEFAULT
    assert loaded.file == file


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("OPSLOG_OTLP__MAX_BODY_BYTES", "8MiB", "max_body_bytes", 8 * 2**20),
        ("OPSLOG_OTLP__DUPLICATE_WINDOW_S", "2h", "duplicate_window_s", 7200),
        ("OPSLOG_OTLP__BODY_TIMEOUT_S", "1500ms", "body_timeout_s", 1.5),
        ("OPSLOG_OTLP__MIN_BODY_BYTES_PER_S", "2k", "min_body_bytes_per_s", 2048),
        ("OPSLOG_OTLP__REQUIRE_KEY", "true", "require_key", True),
        ("OPSLOG_OTLP__CORS_ORIGINS", "https://a.example, https://b.example", "cors_origins",
         ["https://a.example", "https://b.example"]),
        ("OPSLOG_OTLP__CORS_ORIGINS", '["https://a.example"]', "cors_origins",
         ["https://a.example"]),
    ],
)  # fmt: skip
def test_variables_accept_units_booleans_and_lists(
    folder: Path, variable: str, text: str, name: str, value: object
) -> None:
    """In common spellings."""
    assert getattr(load({variable: text}).settings.otlp, name) == value


def test_units_are_accepted_in_the_file_too(folder: Path) -> None:
    """A string with a unit, or the plain number."""
    write(folder / "opslog.toml", '[storage]\nsegment_age_s = "12h"\nsegment_bytes = 1048576\n')

    storage = load({}).settings.storage

    assert (storage.segment_age_s, storage.segment_bytes) == (43200, 2**20)


def test_an_empty_variable_is_ignored(folder: Path) -> None:
    """Compose files pass empty variables for unset values."""
    assert load({"OPSLOG_DATABASE_URL": ""}).settings.database_url is None


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("OPSLOG_OTLP_PORT", "did you mean OPSLOG_OTLP__PORT?"),
        ("OPSLOG_OTLP__PROT", "did you mean OPSLOG_OTLP__PORT?"),
        ("OPSLOG_DATADIR", "did you mean OPSLOG_DATA_DIR?"),
        ("OPSLOG_OTLP__PORT_FILE", "did you mean OPSLOG_OTLP__PORT?"),  # not a secret
        ("OPSLOG_ZZZZZZZZ", "`opslog config` lists all settings"),
    ],
)
def test_an_unknown_variable_is_an_error_with_the_closest_name(
    folder: Path, variable: str, expected: str
) -> None:
    """Never ignored: the default would silently stay in force."""
    message = error_of({variable: "1"})

    assert message.startswith(f"{variable} is not a setting")
    assert expected in message


def test_all_problems_are_reported_at_once(folder: Path) -> None:
    """Nobody fixes one line only to find the next error."""
    write(folder / "opslog.toml", "[otlp]\nprot = 1\n\n[api]\nprot = 2\n")

    lines = error_of({"OPSLOG_NOPE": "1"}).splitlines()

    assert len(lines) == 3
    assert (
        lines[0] == f"{folder}/opslog.toml:2: otlp.prot is not a setting; did you mean otlp.port?"
    )


def test_an_invalid_value_is_reported_with_its_origin(folder: Path) -> None:
    """Source, name, value and error."""
    write(folder / "opslog.toml", "[otlp]\nport = 70000\n")

    assert error_of({}).startswith(f"{folder}/opslog.toml:2: otlp.port is 70000: Input should be")
    assert error_of({"OPSLOG_OTLP__PORT": "x"}).startswith("OPSLOG_OTLP__PORT: otlp.port is 'x': ")
    assert "'proxy' is not an address" in error_of(
        {"OPSLOG_API__TRUSTED_PROXIES": "10.0.0.1,proxy"}
    )


def test_an_unknown_unit_is_reported_with_its_origin(folder: Path) -> None:
    """In both sources."""
    write(folder / "opslog.toml", '[spool]\nmax_bytes = "8 parsecs"\n')

    message = error_of({"OPSLOG_SPOOL__MIN_FREE_BYTES": "1x"})

    assert f"{folder}/opslog.toml:2: spool.max_bytes: '8 parsecs' is not a size" in message
    assert "OPSLOG_SPOOL__MIN_FREE_BYTES: '1x' is not a size" in message


def test_conflicting_settings_are_reported_by_name(folder: Path) -> None:
    """The message names all settings involved."""
    assert error_of({"OPSLOG_SPOOL__MAX_BYTES": "1M"}) == (
        "spool.file_bytes must be at most half of spool.max_bytes"
    )
    assert "tls_cert and api.tls_key must be set together" in error_of(
        {"OPSLOG_API__TLS_CERT": "c.pem"}
    )
    assert "otlp.port and api.port must differ" in error_of({"OPSLOG_API__PORT": "4318"})


def test_invalid_toml_is_reported_with_file_and_line(folder: Path) -> None:
    """From the parser's error."""
    write(folder / "opslog.toml", "[otlp\n")

    assert error_of({}).startswith(f"{folder}/opslog.toml: ")
    assert "line 1" in error_of({})


def test_invalid_json_in_a_variable_is_reported_with_an_example(folder: Path) -> None:
    """An example to copy."""
    assert 'write {"name": "value"}' in error_of({"OPSLOG_AUTH__ROLE_MAP": "ops=NOC"})


def test_a_secret_can_come_from_a_file(folder: Path) -> None:
    """As on container platforms; the final line feed is removed."""
    secret = write(folder / "dsn", "postgresql://u:hunter2@h/d\n")

    loaded = load({"OPSLOG_DATABASE_URL_FILE": str(secret)})

    assert loaded.settings.database_url is not None
    assert loaded.settings.database_url.get_secret_value() == "postgresql://u:hunter2@h/d"
    assert str(loaded.origins["database_url"]) == "secret file OPSLOG_DATABASE_URL_FILE"
    assert "hunter2" not in repr(loaded)


def test_a_secret_set_twice_is_an_error(folder: Path) -> None:
    """Neither value takes precedence."""
    secret = write(folder / "dsn", "postgresql://u:hunter2@h/d")

    message = error_of(
        {"OPSLOG_DATABASE_URL": "postgresql://x", "OPSLOG_DATABASE_URL_FILE": str(secret)}
    )

    assert "keep one" in message
    assert "hunter2" not in message


def test_an_unreadable_secret_file_is_reported_with_the_variable(folder: Path) -> None:
    """And with the path."""
    message = error_of({"OPSLOG_DATABASE_URL_FILE": str(folder / "gone")})

    assert (
        message == f"OPSLOG_DATABASE_URL_FILE: cannot read {folder}/gone: No such file or directory"
    )


def test_a_secret_file_that_is_not_text_is_reported(folder: Path) -> None:
    """A key in DER form, for example."""
    (folder / "der").write_bytes(b"\x80\xff")

    assert "not UTF-8 text" in error_of({"OPSLOG_REDIS_URL_FILE": str(folder / "der")})


def test_relative_paths_start_at_the_source(folder: Path) -> None:
    """In the file: the file's directory; in the environment: the working directory."""
    (folder / "etc").mkdir()
    file = write(folder / "etc" / "o.toml", 'data_dir = "var"\n')

    assert load({}, config=file).settings.data_dir == folder / "etc" / "var"
    assert load({"OPSLOG_DATA_DIR": "here"}).settings.data_dir == folder / "here"


def test_a_named_file_must_exist(folder: Path) -> None:
    """There is no fallback to the defaults."""
    assert "no such file (set by OPSLOG_CONFIG)" in error_of({"OPSLOG_CONFIG": "gone.toml"})
    assert "no such file (set by --config)" in error_of({}, config=Path("gone.toml"))


def test_the_file_may_be_in_the_data_directory(folder: Path) -> None:
    """Used if the working directory has none."""
    (folder / "data").mkdir()
    write(folder / "data" / "opslog.toml", "[api]\nport = 9999\n")

    loaded = load({"OPSLOG_DATA_DIR": str(folder / "data")})

    assert loaded.settings.api.port == 9999


def test_tables_and_lists_of_tables_are_values(folder: Path) -> None:
    """Maps and custom redaction rules."""
    write(
        folder / "opslog.toml",
        '[auth.role_map]\nops = "NOC"\n\n[[redaction.rules]]\nname = "x"\npattern = "y"\n',
    )

    settings = load({}).settings

    assert settings.auth.role_map == {"ops": "NOC"}
    assert settings.redaction.rules == [{"name": "x", "pattern": "y"}]


def test_a_section_that_is_not_a_table_is_reported(folder: Path) -> None:
    """A value in place of a table."""
    write(folder / "opslog.toml", "otlp = 4318\n")

    assert ":1: otlp is not a setting" in error_of({})
