"""The blocks of code in README and docs, and how they are run: in order, in one folder per page.

A comment before a block says what is not plain: `<!-- not run: REASON -->`, or
`<!-- file: NAME -->` before what is the content of a file.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(
    r"(?:^<!-- (?P<word>not run|file): (?P<value>[^\n]+) -->\n)?"
    r"^```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
RUN = ("bash", "python")
SHOWN = ("", "text", "yaml", "toml", "csv", "powershell")


@dataclass(frozen=True)
class Block:
    """A block of code of a page."""

    page: Path
    line: int
    language: str
    code: str
    file: str | None
    why_not: str | None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"


def pages() -> list[Path]:
    """Return README and all pages of docs."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page,
            text.count("\n", 0, found.start("code")),
            found["language"],
            found["code"],
            found["value"] if found["word"] == "file" else None,
            found["value"] if found["word"] == "not run" else None,
        )
        for found in _BLOCK.finditer(text)
    ]


def does_something(block: Block) -> bool:
    """Tell whether a block is run."""
    return block.language in RUN and block.why_not is None and block.file is None


def run_page(page: Path) -> int:
    """Run the blocks of a page in the current folder, those in Python with the same names.

    Returns
    -------
    int
        How many were run.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    n_run = 0
    for block in blocks_of(page):
        if block.file is not None:
            Path(block.file).write_text(block.code, encoding="utf-8")
        elif does_something(block):
            if block.language == "bash":
                _run_shell(block)
            else:
                run_python(block.code, str(block), names)
            n_run += 1
    return n_run


def run_python(code: str, place: str, names: dict[str, Any]) -> object:
    """Run statements; return what the last of them is, if it is an expression, as notebooks do."""
    tree = ast.parse(code, place)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, place, "exec"), names)
    if last is None:
        return None
    assert isinstance(last, ast.Expr)
    return eval(compile(ast.Expression(last.value), place, "eval"), names)


def _run_shell(block: Block) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    programs = Path(sys.executable).parent
    done = subprocess.run(
        [bash, "-euo", "pipefail", "-c", block.code],
        env=os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=250,
        check=False,
    )
    told = f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert done.returncode == 0, f"{block} ends with {done.returncode}:\n{block.code}\n{told}"
