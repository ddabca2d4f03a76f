"""The page on threats names tests that are there."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent.parent
PAGE = (TESTS.parent / "docs" / "threat-model.md").read_text()
NAMED = set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE))


def defined_in(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_each_test_that_is_named_is_there() -> None:
    there = {name: defined_in(TESTS / name) for name, _ in NAMED}

    assert [test for test in sorted(NAMED) if test[1] not in there[test[0]]] == []


def test_nothing_is_named_in_another_way() -> None:
    """Whatever looks like a test is among those that were looked for."""
    assert set(re.findall(r"\btest_\w+", PAGE)) == {
        part for name, test in NAMED for part in (Path(name).stem, test)
    }
