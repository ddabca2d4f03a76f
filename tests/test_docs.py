"""Every Python block of the documentation runs, as a script of its own, warnings being errors."""

import multiprocessing
import os
import re
import runpy
import sys
import traceback
import warnings
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]

# A fence may be indented (in a list, a tab or a note), titled, and of backticks or tildes.
FENCE = re.compile(
    r"^(?P<indent>[ \t]*)(?P<marks>`{3,}|~{3,})[ ]*\{?[ ]*\.?(?:python|py|python3)\b[^\n]*\n"
    r"(?P<code>.*?)"
    r"^[ \t]*(?P=marks)[ \t]*$",
    re.DOTALL | re.MULTILINE | re.IGNORECASE,
)
# Much looser, so that a block which FENCE overlooks is noticed.
LOOKS_LIKE_A_FENCE = re.compile(r"(?:`{3}|~{3})[ {.]*py(?:thon)?3?\b", re.IGNORECASE)
SNIPPET = re.compile(r'--8<--[ ]"(?P<path>[^":]+)(?::\w+)?"')


@dataclass(frozen=True)
class Block:
    name: str
    code: str
    is_script: bool = True
    """Not so for code included from a file, whose ``if __name__ == "__main__"`` would serve."""


def blocks_of(page: str, text: str) -> list[Block]:
    return [block_of(page, text, match) for match in FENCE.finditer(text)]


def block_of(page: str, text: str, match: re.Match[str]) -> Block:
    line = text.count("\n", 0, match.start("code"))
    snippet = SNIPPET.search(match["code"])
    if snippet is not None:
        return Block(f"{page}:{line}", (ROOT / snippet["path"]).read_text(), is_script=False)
    # Empty lines in front make tracebacks show the line of the page.
    return Block(f"{page}:{line}", "\n" * line + dedent(match["code"]))


# As in pyproject.toml: what passlib 1.7.4 trips on.
PASSLIB_WARNINGS = ["Accessing argon2.__version__ is deprecated", "'crypt' is deprecated"]

BLOCKS = [
    block for page in PAGES for block in blocks_of(str(page.relative_to(ROOT)), page.read_text())
]


# Forked from a process that has the heavy imports behind it, each block starts within milliseconds.
FRESH = multiprocessing.get_context("forkserver")
FRESH.set_forkserver_preload(
    [
        *(
            f"fastapi_kit.{block}"
            for block in ("app", "auth", "db", "health", "settings", "testing")
        ),
        # What these load only when it is used.
        "fastapi_kit.pagination.cursor_paginator",
        "fastapi_kit.pagination.filters",
        "fastapi_kit.pagination.selects",
        "aiosqlite",
        "anyio._backends._asyncio",
        "passlib.handlers.argon2",
        "passlib.handlers.bcrypt",
        "passlib.handlers.pbkdf2",
        "passlib.handlers.scrypt",
        "pydantic.v1",
        "pytest",
        __name__,
    ]
)


def run(
    block: Block, folder: str, failures: "Connection[str, str]"
) -> None:  # pragma: no cover  # elsewhere
    """Run a block as a script would be, and send the traceback if it fails."""
    os.chdir(folder)
    sys.path[:0] = [str(ROOT)]
    sys.argv = ["example.py"]
    warnings.simplefilter("error")
    for ignored in PASSLIB_WARNINGS:
        warnings.filterwarnings("ignore", ignored, DeprecationWarning)
    script = Path("example.py").absolute()
    script.write_text(block.code)
    try:
        runpy.run_path(str(script), run_name="__main__" if block.is_script else "example")
    except BaseException:
        failures.send(traceback.format_exc())
        raise


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_runs(block: Block, tmp_path: Path) -> None:
    failures, sender = FRESH.Pipe(duplex=False)
    process = FRESH.Process(target=run, args=(block, str(tmp_path), sender))

    process.start()
    sender.close()
    process.join()

    assert process.exitcode == 0, failures.recv()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_python_block_is_overlooked(page: Path) -> None:
    text = page.read_text()

    assert len(blocks_of(page.name, text)) == len(LOOKS_LIKE_A_FENCE.findall(text))


@pytest.mark.parametrize(
    "text",
    [
        "```python\nx = 1\n```\n",
        '```python title="app.py" hl_lines="1"\nx = 1\n```\n',
        "``` { .python .annotate }\nx = 1\n```\n",
        "```py\nx = 1\n```\n",
        "~~~python\nx = 1\n~~~\n",
        "````python\nx = 1\n````\n",
        "!!! note\n\n    ```python\n    x = 1\n    ```\n",
        "1. Do this:\n\n\t```python\n\tx = 1\n\t```\n",
    ],
    ids=["plain", "titled", "attributes", "short", "tildes", "four", "in a note", "in a list"],
)
def test_every_way_to_write_a_block_is_found(text: str) -> None:
    blocks = blocks_of("page.md", text)

    assert [block.code.strip() for block in blocks] == ["x = 1"]


def test_each_block_ends_at_its_own_fence() -> None:
    text = "```python\nx = 1\n```\n\n```text\nno code\n```\n\n```python\ny = 2\n```\n"

    assert [block.code.strip() for block in blocks_of("page.md", text)] == ["x = 1", "y = 2"]


def test_a_block_that_includes_a_file_runs_that_file() -> None:
    [block] = blocks_of("page.md", '```python\n--8<-- "dev.py:part"\n```\n')

    assert block == Block("page.md:1", (ROOT / "dev.py").read_text(), is_script=False)


def test_a_block_knows_its_line() -> None:
    [block] = blocks_of("page.md", "# Title\n\n```python\nx = 1\n```\n")

    assert block == Block("page.md:3", "\n\n\nx = 1\n")


def test_a_block_in_a_quotation_counts_as_overlooked() -> None:
    text = "> ```python\n> x = 1\n> ```\n"

    assert blocks_of("page.md", text) == []
    assert len(LOOKS_LIKE_A_FENCE.findall(text)) == 1
