"""Runs the tests in random order: `-p tests.plugins.random_order --random-order` (or `--random-order-seed=NUMBER`).

Modules are mixed, and the tests in each, unless the module says IS_ONE_STORY: a recorded conversation is repeated in
the order in which it was held. The number is printed, and gives the same order again. pytest itself then puts together
what shares a fixture with parameters. With xdist the workers get the number of the controller.
"""

from __future__ import annotations

import random
import secrets
from typing import Any

import pytest

KEY = "random_order_seed"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the plugin."""
    parser.addoption("--random-order", action="store_true", help="run the tests in random order")
    parser.addoption("--random-order-seed", metavar="NUMBER", help="run them in the order that belongs to the number")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the number where none was given, once for all workers."""
    of_controller = getattr(config, "workerinput", {}).get(KEY)
    if of_controller is not None:
        config.option.random_order_seed = of_controller
    elif config.option.random_order and config.option.random_order_seed is None:
        config.option.random_order_seed = str(secrets.randbelow(1_000_000))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker the number."""
    node.workerinput[KEY] = node.config.option.random_order_seed


def pytest_report_header(config: pytest.Config) -> str | None:
    """The number."""
    number = config.option.random_order_seed
    return None if number is None else f"random order: -p tests.plugins.random_order --random-order-seed={number}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mix them, before pytest puts together what belongs together."""
    number = config.option.random_order_seed
    if number is None:
        return
    modules: dict[str, list[pytest.Item]] = {}
    for item in items:
        modules.setdefault(item.nodeid.partition("::")[0], []).append(item)
    names = sorted(modules)
    random.Random(number).shuffle(names)
    for name in names:  # so that the number gives a module's order also when it runs alone
        if not getattr(getattr(modules[name][0], "module", None), "IS_ONE_STORY", False):
            random.Random(f"{number} {name}").shuffle(modules[name])
    items[:] = [item for name in names for item in modules[name]]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell the number again where somebody looks for it."""
    header = pytest_report_header(config)
    if header is not None:
        terminalreporter.write_line(header)
