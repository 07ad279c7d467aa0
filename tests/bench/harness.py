"""What a test pays for its cloud: the fixture, resets and imports, in memory and over sockets. Prints CPU and wall."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import get_args

import cloudstack_mock
from cloudstack_mock._cloud import Transport
from cloudstack_mock._pool import Pool, Wanted

ROUNDS = 20


def cost_ms(work: Callable[[], object], before: Callable[[], object] = lambda: None) -> tuple[float, float]:
    """Median CPU (all threads) and wall milliseconds of `work`, each time after `before`."""
    cpu, wall = [], []
    for _ in range(ROUNDS):
        before()
        begun_cpu, begun_wall = time.process_time(), time.perf_counter()
        work()
        cpu.append(time.process_time() - begun_cpu)
        wall.append(time.perf_counter() - begun_wall)
    return 1e3 * statistics.median(cpu), 1e3 * statistics.median(wall)


def bench(transport: Transport) -> None:
    def show(what: str, figures: tuple[float, float]) -> None:
        print(f"{what}, {transport:8} {figures[0]:8.1f} ms CPU, {figures[1]:8.1f} ms wall")

    def whole() -> None:
        with cloudstack_mock.activate(transport=transport):
            pass

    whole()
    show("a new cloud, start and stop        ", cost_ms(whole))

    pool, wanted = Pool(), Wanted.of({"transport": transport})

    def fixture() -> None:
        with pool.lent(wanted):
            pass

    fixture()
    show("fixture `cloudstack` after the first", cost_ms(fixture))
    pool.close()

    with cloudstack_mock.activate(transport=transport) as cloud:
        parameters = cloud.import_parameters("web01")

        def one_import() -> None:
            cloud.client.importVm(**parameters)

        one_import()
        cloud.reset()
        show("reset of an unchanged cloud         ", cost_ms(cloud.reset))
        show("reset after an import               ", cost_ms(cloud.reset, before=one_import))
        figures = cost_ms(one_import, before=cloud.reset)
        show(f"an import, {1e3 / figures[1]:5.1f}/s               ", figures)


def main() -> None:
    for transport in get_args(Transport):
        bench(transport)


if __name__ == "__main__":
    main()
