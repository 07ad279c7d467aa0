"""Global settings: defaults, values, scopes, and when a change is seen."""

from __future__ import annotations

import pytest

from mgmt.errors import InvalidParameterValueError
from mgmt.inventory.settings import GlobalSettings, UnknownSettingError
from mgmt.providers import Providers
from mgmt.store.database import Store
from mgmt.store.setting_definitions import all_definitions


@pytest.fixture
def store():
    made = Store("sqlite://", Providers())
    yield made
    made.close()


@pytest.fixture
def settings(store):
    return GlobalSettings(store)


def test_defaults_are_those_of_cloudstack(settings):
    """Without a change each setting has its default, as text, number or boolean."""
    assert settings.get_text("instance.name") == "VM"
    assert settings.get_int("convert.vmware.instance.to.kvm.timeout") == 3
    assert settings.get_int("wait") == 1800
    assert settings.get_float("ping.timeout") == 2.5
    assert settings.get_bool("convert.vmware.instance.to.kvm.extra.params.allowed") is False
    assert settings.get_bool("expose.cloudstack.version.api.xml.response") is True


@pytest.mark.parametrize("get", ["get_text", "get_int", "get_bool", "get_float"])
def test_an_unknown_name_is_an_error(settings, get):
    """A name that is no setting is never taken for an empty one."""
    with pytest.raises(UnknownSettingError):
        getattr(settings, get)("no.such.setting")


def test_a_change_is_seen_after_the_commit_only(store, settings):
    """Readers see a new value once the session that wrote it has committed."""
    with store.session() as session:
        settings.set(session, "wait", "7")
        assert settings.get_int("wait") == 1800
    assert settings.get_int("wait") == 7
    assert GlobalSettings(store).get_int("wait") == 7


def test_a_rolled_back_change_is_never_seen(store, settings):
    """A session that fails leaves the value as it was, also for what it commits later."""
    with pytest.raises(RuntimeError), store.session() as session:
        settings.set(session, "wait", "7")
        raise RuntimeError
    assert settings.get_int("wait") == 1800
    with store.session() as session:
        settings.set(session, "wait", "8")
        session.rollback()
        settings.set(session, "alert.wait", "9")
    assert (settings.get_int("wait"), settings.get_int("alert.wait")) == (1800, 9)


def test_two_servers_have_their_own_settings(settings):
    """A change in one store is not seen in another."""
    other_store = Store("sqlite://", Providers())
    other = GlobalSettings(other_store)
    with other_store.session() as session:
        other.set(session, "wait", "7")
    assert (settings.get_int("wait"), other.get_int("wait")) == (1800, 7)
    other_store.close()


def test_a_scope_falls_back_to_the_global_value(store, settings):
    """A zone without a value of its own has the global one."""
    name = "unmanage.vm.preserve.nics"
    with store.session() as session:
        settings.set(session, name, "true", scope="Zone", scope_id=5)
        settings.set(session, "storage.overprovisioning.factor", "3", scope="StoragePool", scope_id=1)
    for reader in (settings, GlobalSettings(store)):
        assert reader.get_bool(name, scope="Zone", scope_id=5) is True
        assert reader.get_bool(name, scope="Zone", scope_id=6) is False
        assert reader.get_bool(name) is False
        assert reader.get_float("storage.overprovisioning.factor", scope="StoragePool", scope_id=1) == 3.0
        assert reader.get_float("storage.overprovisioning.factor", scope="StoragePool", scope_id=2) == 2.0


def test_an_empty_number_means_the_default(store, settings):
    """A number without a value is read as its default; its text is missing."""
    with store.session() as session:
        settings.set(session, "wait", None)
    assert settings.get_text("wait") is None
    assert settings.get_int("wait") == 1800


def test_values_seeded_later_are_read_on_reload(store, settings):
    """reload takes what others wrote into the database."""
    with store.session() as session:
        GlobalSettings(store).set(session, "wait", "5")
    assert settings.get_int("wait") == 1800
    settings.reload(store)
    assert settings.get_int("wait") == 5


def check_definition(name):
    definition = all_definitions()[name]
    assert definition.default is not None
    assert definition.fits(definition.default)
    assert definition.description
    assert not definition.description.endswith(".")
    assert all((definition.group, definition.subgroup, definition.component))
    if definition.options:
        assert definition.default in definition.options.split(",")


def test_every_definition_is_complete(for_each):
    """Each default fits its own type, and each setting has a description, group, subgroup and component."""
    for_each(sorted(all_definitions()), check_definition)


@pytest.mark.parametrize(
    ("name", "kind", "scope"),
    [
        ("job.expire.minutes", "Number", "Global"),
        ("ping.timeout", "Decimal", "Global"),
        ("host", "String", "Global"),
        ("commands.timeout", "CSV", "Global"),
        ("api.sessionkey.cookie.samesite", "Select", "Global"),
        ("unmanage.vm.preserve.nics", "Boolean", "Global,Zone"),
    ],
)
def test_type_words_and_scopes(name, kind, scope):
    """The type word follows the Java class, the options or the list form."""
    definition = all_definitions()[name]
    assert (definition.type, definition.scope) == (kind, scope)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("wait", ["1", "+5", "2147483647"], ["", "1.5", "1_000", " 1", "2147483648", "١"]),
        ("job.expire.minutes", ["9223372036854775807", "-1"], ["9223372036854775808", "x"]),
        ("ping.timeout", ["2.5", "2", ".5", "2."], ["", "nan", "1e3", "x"]),
        ("enable.user.2fa", ["true", "false"], ["TRUE", "yes", "1", ""]),
        ("host", ["", "anything at all"], []),
    ],
)
def test_what_fits_a_type(name, good, bad):
    """Values are read as Java reads them: no blanks, no other digits, within the type's range."""
    definition = all_definitions()[name]
    assert [value for value in good if not definition.fits(value)] == []
    assert [value for value in bad if definition.fits(value)] == []


def test_checked_gives_the_definition(settings):
    """A value that fits gives back its setting; without a value nothing more is checked."""
    assert settings.checked("wait", "5").name == "wait"
    assert settings.checked("wait", None).name == "wait"
    with pytest.raises(InvalidParameterValueError):
        settings.checked("wait", "-5")
