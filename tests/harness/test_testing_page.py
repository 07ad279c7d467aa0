"""docs/testing.md, each of its blocks as its reader has it."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "testing.md").read_text()
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```python\n(.*?)```", PAGE, re.DOTALL))


@pytest.mark.slow
def test_the_blocks_of_the_page_pass(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """All files of the page pass, one after the other, with the plugin as it is installed."""
    monkeypatch.syspath_prepend(ROOT)
    # pytester keeps the modules of the run, and a plan in one of them keeps its files
    monkeypatch.setattr(tempfile, "tempdir", str(pytester.path))
    for name, content in FILES.items():
        (pytester.path / name).write_text(content)
    result = pytester.runpytest_inprocess(
        "-p", "cloudstack_mock.pytest_plugin", "-p", "no:cacheprovider", "-W", "error"
    )
    result.assert_outcomes(passed=14)


def test_every_block_of_the_page_is_one_of_its_files() -> None:
    """No block of Python stands there that nobody runs; the one shell block installs what the project has."""
    blocks = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
    assert [content for language, content in blocks if language == "python"] == list(FILES.values())
    assert [content for language, content in blocks if language != "python"] == [
        '$ pip install "cloudstack-mock[pytest]"\n'
    ]
    assert '\npytest = ["pytest' in (ROOT / "pyproject.toml").read_text()
