"""What CloudStack's own simulator can be told to do: commands of hosts that wait, fail, or answer something given.

Upstream: plugins/hypervisors/simulator, SimulatorManagerImpl.simulate and configureSimulator, MockConfigurationDaoImpl.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from mgmt.faults.definitions import Effect

FAILURE = "Simulated failure"
FAULT = "java.lang.Exception: Simulated fault"
_INT = re.compile(r"[+-]?\d+", re.ASCII)


@dataclass(frozen=True)
class Place:
    """Where a mock holds, or where a host is: internal numbers. A mock's None: everywhere."""

    zone_id: int | None = None
    pod_id: int | None = None
    cluster_id: int | None = None
    host_id: int | None = None

    @property
    def scope(self) -> tuple[int | None, ...]:
        """The numbers down to the first that is missing: what is below that one does not count."""
        numbers = (self.zone_id, self.pod_id, self.cluster_id, self.host_id)
        return numbers[: next((index for index, number in enumerate(numbers) if number is None), len(numbers))]

    def holds_at(self, host: Place) -> bool:
        """Whether a mock of this place is one for that host: every number that it names must be the host's."""
        numbers = (self.zone_id, self.pod_id, self.cluster_id, self.host_id)
        scope = self.scope
        return all(number is None for number in numbers[len(scope) :]) and host.scope[: len(scope)] == scope


@dataclass(frozen=True)
class Mock:
    """One configuration. `count`: how often it still holds; None: for ever."""

    id: int
    place: Place
    command: str
    values: str
    count: int | None
    json_response: str | None


class SimulatorMocks:
    """The configurations of one world, by number; thread-safe. `place_of` finds a host by its name."""

    def __init__(self) -> None:
        self.place_of: Callable[[str], Place | None] | None = None
        self._mocks: dict[int, Mock] = {}
        self._last_id = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._mocks)

    def configure(self, place: Place, command: str, values: str, count: int | None, json_response: str | None) -> Mock:
        """Keep a configuration; one for the same command and scope is changed."""
        with self._lock:
            known = next(
                (
                    mock
                    for mock in self._mocks.values()
                    if mock.command == command and mock.place == Place(*place.scope)
                ),
                None,
            )
            if known is None:
                self._last_id += 1
                mock = Mock(self._last_id, place, command, values, count, json_response)
            else:
                mock = replace(known, values=values, count=count, json_response=json_response)
            self._mocks[mock.id] = mock
            return mock

    def find(self, number: int | None) -> Mock | None:
        """The configuration of that number that was not removed."""
        return None if number is None else self._mocks.get(number)

    def remove(self, number: int | None) -> bool:
        """Take a configuration back; False when there is none."""
        with self._lock:
            return number is not None and self._mocks.pop(number, None) is not None

    def save(self) -> tuple[int, Mapping[int, Mock]]:
        """What there is, for `load`."""
        with self._lock:
            return self._last_id, dict(self._mocks)

    def load(self, saved: tuple[int, Mapping[int, Mock]]) -> None:
        """Have these configurations and no others."""
        with self._lock:
            self._last_id, self._mocks = saved[0], dict(saved[1])

    def effects(self, facts: Mapping[str, object]) -> list[Effect]:
        """What the command that a host gets is to meet; counts it. The oldest configuration that fits holds."""
        place = self.place_of(str(facts.get("host"))) if self.place_of is not None else None
        if place is None:
            return []
        with self._lock:
            mock = next(
                (
                    mock
                    for mock in self._mocks.values()
                    if mock.command == facts.get("command") and mock.place.holds_at(place)
                ),
                None,
            )
            if mock is None or (mock.count is not None and mock.count <= 0):
                return []
            found, is_answered = _effects_of(mock)
            if mock.count is not None and is_answered:
                self._mocks[mock.id] = replace(mock, count=mock.count - 1)
            return found


def _effects_of(mock: Mock) -> tuple[list[Effect], bool]:
    """The effects, and whether they count: a simulated fault does not use a configuration up, as upstream."""
    effects: list[Effect] = []
    answer: Effect | None = None
    for pair in mock.values.split("|"):
        key, colon, rest = pair.partition(":")
        if not colon:  # what Java makes of the missing half
            text = "java.lang.ArrayIndexOutOfBoundsException: Index 1 out of bounds for length 1"
            return [Effect("answer", {"details": text})], False
        value = rest.partition(":")[0]
        if key.lower() == "wait" and _INT.fullmatch(value):
            effects.append(Effect("wait", {"for_s": max(0, int(value)) / 1000}))
        elif key.lower() == "result" and value.lower() == "fail":
            answer = Effect("answer", {"details": FAILURE})
        elif key.lower() == "result" and value.lower() == "fault":
            return [*effects, Effect("answer", {"details": FAULT})], False
    if answer is None and mock.json_response is not None:
        answer = Effect("answer_json", {"text": mock.json_response})
    return (effects if answer is None else [*effects, answer]), True
