"""Settings: precedence and refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgmt.config import OPTIONS, ConfigError, Settings, load_settings


def test_defaults_stand_when_nothing_is_given() -> None:
    """Without file, environment and options the defaults hold."""
    assert load_settings() == Settings()
    assert Settings().port == 8080
    assert Settings().agent_port == 8250


def test_later_sources_win(tmp_path: Path) -> None:
    """File beats default, environment beats file, option beats environment."""
    file = tmp_path / "s.toml"
    file.write_text('port = 1\nagent_port = 2\nvcenter_port = 3\nseed = "x"\nfix = ["null-task-error-text"]\n')
    settings = load_settings(
        file=file,
        environment={"CLOUDSTACK_MOCK_AGENT_PORT": "20", "CLOUDSTACK_MOCK_VCENTER_PORT": "30", "HOME": "/"},
        options={"vcenter_port": "300", "seed": None},
    )
    assert (settings.port, settings.agent_port, settings.vcenter_port, settings.seed) == (1, 20, 300, "x")
    assert settings.fix == ("null-task-error-text",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "seventy"),
        ("port", "70000"),
        ("agent_port", "-1"),
        ("port", "8_0"),
        ("port", "\uff10"),
        ("time_scale", "1_0"),
        ("database", "foo://x"),
        ("time_scale", "0"),
        ("time_scale", "nan"),
        ("time_scale", "inf"),
        ("agents", "maybe"),
        ("vcenter", ""),
        ("database", "no url"),
        ("fix", "nothing-known"),
        ("log_level", "loud"),
        ("extensions", "maybe"),
        ("profile", "5.0"),
        ("host", " "),
        ("nfs_root", "/nonexistent"),
    ],
)
def test_a_bad_value_is_refused_with_name_value_and_expectation(name: str, value: str) -> None:
    """The refusal names the option, the value and what was expected."""
    with pytest.raises(ConfigError) as refused:
        load_settings(options={name: value})
    expected = next(option.expected for option in OPTIONS if option.name == name)
    option = "--" + name.replace("_", "-")
    assert str(refused.value) == f"command line: {option} = {value!r} cannot be used: expected {expected}"


def test_environment_refusal_names_the_variable() -> None:
    """A bad environment value is refused under the variable's name."""
    with pytest.raises(ConfigError, match=r"^environment: CLOUDSTACK_MOCK_PORT = 'x' cannot be used: expected a port"):
        load_settings(environment={"CLOUDSTACK_MOCK_PORT": "x"})


def test_file_refusals(tmp_path: Path) -> None:
    """A missing file, broken TOML, an unknown name and a wrong type are each refused under the file's name."""
    with pytest.raises(ConfigError, match=r"none\.toml: No such file or directory; expected a TOML file with settings"):
        load_settings(file=tmp_path / "none.toml")
    file = tmp_path / "s.toml"
    file.write_text("port = = 1")
    with pytest.raises(ConfigError, match=r"s\.toml: Invalid value .*; expected a TOML file"):
        load_settings(file=file)
    file.write_text("prot = 1")
    with pytest.raises(
        ConfigError, match=r"prot = 1 cannot be used: expected one of the settings admin, admin_token, agent_port, "
    ):
        load_settings(file=file)
    file.write_text("port = true")
    with pytest.raises(ConfigError, match="port = True cannot be used"):
        load_settings(file=file)
    file.write_text("time_scale = [1]\n")
    with pytest.raises(ConfigError, match="time_scale"):
        load_settings(file=file)
    file.write_text("fix = 3\n")
    with pytest.raises(ConfigError, match="fix = 3"):
        load_settings(file=file)


def test_a_database_password_is_not_shown() -> None:
    """The refusal of a database URL hides its password."""
    with pytest.raises(ConfigError) as refused:
        load_settings(options={"database": "no url://me:ge@h:ei/m@host/db"})
    assert "no url://me:*****@host/db" in str(refused.value)


def test_an_unknown_variable_is_refused() -> None:
    """A mistyped variable of ours does not pass unseen; those of other commands do."""
    with pytest.raises(ConfigError, match=r"environment: CLOUDSTACK_MOCK_PORTT = '3' cannot be used: expected one of"):
        load_settings(environment={"CLOUDSTACK_MOCK_PORTT": "3"})
    assert load_settings(environment={"CLOUDSTACK_MOCK_URL": "x", "CLOUDSTACK_MOCK_VCSIM": "y"}) == Settings()
    assert load_settings(options={"log_level": "DEBUG"}).log_level == "debug"


def test_the_encryption_key_is_not_shown() -> None:
    """Neither a refusal nor the settings' repr shows the key."""
    with pytest.raises(ConfigError, match=r"CLOUDSTACK_MOCK_ENCRYPTION_KEY = '\*{5}' cannot be used: .* 16 characters"):
        load_settings(environment={"CLOUDSTACK_MOCK_ENCRYPTION_KEY": "short-key"})
    settings = load_settings(environment={"CLOUDSTACK_MOCK_ENCRYPTION_KEY": "long-enough-secret-key"})
    assert settings.encryption_key == "long-enough-secret-key"
    assert "long-enough" not in repr(settings)


def test_settings_page_lists_every_setting() -> None:
    """docs/settings.md has a row for each setting with its variable, option and default."""
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    for option in OPTIONS:
        row = next((line for line in page.splitlines() if line.startswith(f"| `{option.name}` |")), None)
        assert row is not None, f"docs/settings.md has no row for {option.name}"
        assert f"`CLOUDSTACK_MOCK_{option.name.upper()}`" in row
        assert f"`--{option.name.replace('_', '-')}`" in row
        default = getattr(Settings(), option.name)
        default = str(default).lower() if isinstance(default, bool) else default
        assert ("none" in row or "temporary" in row) if default in (None, ()) else f"`{default}`" in row


def test_a_switch_is_true_or_false() -> None:
    """A switch may be given as text of any case, or as TOML's own value."""
    for given, meant in (("TRUE", True), ("false", False), (True, True)):
        assert load_settings(options={"extensions": given}).extensions is meant


def test_keywords_are_named_as_a_caller_in_python_writes_them() -> None:
    """What is wrong with a keyword is told under its own name, not as an option of the command line."""
    with pytest.raises(ConfigError, match=r"^settings: time_scale = 0 cannot be used: expected a number greater"):
        load_settings(keywords={"time_scale": 0})
    with pytest.raises(ConfigError, match=r"^settings: time_scales = 1 cannot be used: expected one of the settings a"):
        load_settings(keywords={"time_scales": 1})
