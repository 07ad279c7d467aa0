"""Global settings: definitions with defaults, values from the database kept in memory, and the checks of a new value.

One `GlobalSettings` per server. A change is visible to all threads once the session that made it has committed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from sqlalchemy import event, select
from sqlalchemy.orm import Session

from mgmt.errors import InvalidParameterValueError
from mgmt.store.database import Store
from mgmt.store.models import Configuration, ScopedConfiguration
from mgmt.store.setting_definitions import SettingDefinition, all_definitions

# (scope, internal id of the resource, setting); the global value has scope "" and id 0.
_Key = tuple[str, int, str]


class UnknownSettingError(KeyError):
    """A name that no definition has: a programming error of the caller, or a seed's typing error."""


class GlobalSettings:
    """The settings of one server, read from `store` when it is made.

    With `extensions` there are settings that CloudStack does not have. What is in `on_change` is called after a change.
    """

    def __init__(self, store: Store, *, extensions: bool = False) -> None:
        self.definitions: Mapping[str, SettingDefinition] = all_definitions(extensions=extensions)
        self.on_change: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._values: dict[_Key, str | None] = {}
        self.reload(store)

    def reload(self, store: Store) -> None:
        """Read every value from the database again, as after seeding."""
        values: dict[_Key, str | None] = {}
        with store.session() as session:
            for name, value in session.execute(select(Configuration.name, Configuration.value)):
                values["", 0, name] = value
            for row in session.scalars(select(ScopedConfiguration)):
                values[row.scope, row.scope_id, row.name] = row.value
        with self._lock:
            self._values = values

    def save(self) -> Mapping[tuple[str, int, str], str | None]:
        """All values that were set, for `restore`."""
        return dict(self._values)

    def restore(self, values: Mapping[tuple[str, int, str], str | None]) -> None:
        """Have these values: the database holds them again."""
        with self._lock:
            self._values = dict(values)
        for changed in self.on_change:
            changed()

    def get_text(self, name: str, *, scope: str = "", scope_id: int = 0) -> str | None:
        """The value of `name` in the scope (such as "Zone"), else the global one, else the default.

        None when it was set to nothing. Raises `UnknownSettingError` for a name without a definition.
        """
        definition = self._definition(name)
        values = self._values
        if scope:
            scoped = values.get((scope, scope_id, name))
            if scoped is not None:
                return scoped
        return values.get(("", 0, name), definition.default)

    def get_bool(self, name: str, *, scope: str = "", scope_id: int = 0) -> bool:
        """True when the value is `true` in any case."""
        return (self.get_text(name, scope=scope, scope_id=scope_id) or "").lower() == "true"

    def get_int(self, name: str, *, scope: str = "", scope_id: int = 0) -> int:
        """The value as a number; the default's number while the value is empty (ConfigKey.value())."""
        value = self.get_text(name, scope=scope, scope_id=scope_id) or self._definition(name).default
        return int(value or 0)

    def get_float(self, name: str, *, scope: str = "", scope_id: int = 0) -> float:
        """The value as a decimal number; the default's while the value is empty."""
        value = self.get_text(name, scope=scope, scope_id=scope_id) or self._definition(name).default
        return float(value or 0)

    def set(self, session: Session, name: str, value: str | None, *, scope: str = "", scope_id: int = 0) -> None:
        """Write a value with `session`; readers see it after the commit. Does not check it (see `checked`)."""
        self._definition(name)
        if scope:
            session.merge(ScopedConfiguration(scope=scope, scope_id=scope_id, name=name, value=value))
        else:
            session.merge(Configuration(name=name, value=value))
        session.flush()
        pending: dict[_Key, str | None] = session.info.setdefault("pending_settings", {})
        if not pending:
            event.listen(session, "after_commit", self._publish)
            event.listen(session, "after_rollback", _forget)
        pending[scope, scope_id, name] = value

    def checked(self, name: str, value: str | None, *, scope: str = "") -> SettingDefinition:
        """The definition of `name` if `value` fits it.

        Raises `InvalidParameterValueError` with updateConfiguration's texts
        (ConfigurationManagerImpl.updateConfiguration, validateConfigurationValue).
        """
        definition = self.definitions.get(name)
        if definition is None:
            raise InvalidParameterValueError(f"Config parameter with name {name} doesn't exist")
        if scope and scope not in definition.scopes:
            raise InvalidParameterValueError(f"Invalid scope id provided for the parameter {name}")
        if value is None:
            return definition
        if not definition.fits(value):
            raise InvalidParameterValueError(f"Value [{value}] is not a valid [class {definition.java_class}].")
        if definition.must_be_positive and int(value) <= 0:
            raise InvalidParameterValueError(f"Please enter a positive value for the configuration parameter:{name}")
        if definition.must_not_be_negative and int(value) < 0:
            raise InvalidParameterValueError(
                f"Please enter a value greater than or equal to 0 for the configuration parameter:{name}"
            )
        return definition

    def _definition(self, name: str) -> SettingDefinition:
        try:
            return self.definitions[name]
        except KeyError:
            raise UnknownSettingError(name) from None

    def _publish(self, session: Session) -> None:
        with self._lock:
            self._values = {**self._values, **session.info.pop("pending_settings", {})}
        for changed in self.on_change:
            changed()


def _forget(session: Session) -> None:
    session.info.pop("pending_settings", None)
