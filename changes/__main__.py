"""Make a section of CHANGELOG.md of the files in this folder, and delete them.

Usage: python -m changes VERSION [YYYY-MM-DD]
"""

from __future__ import annotations

import re
import sys
from datetime import date
from pathlib import Path

KINDS = ("added", "changed", "fixed", "removed")
HERE = Path(__file__).parent


def section(folder: Path, version: str, day: str) -> str:
    """Return the section of a version: by kind, then by name of the file."""
    lines = [f"## {version} ({day})", ""]
    for kind in KINDS:
        news = sorted(folder.glob(f"*.{kind}.md"))
        if news:
            lines += [f"### {kind.capitalize()}", ""]
            lines += [f"- {file.read_text(encoding='utf-8').strip()}" for file in news]
            lines.append("")
    return "\n".join(lines)


def strangers(folder: Path) -> list[str]:
    """Return files that no section would take."""
    known = {file.name for kind in KINDS for file in folder.glob(f"*.{kind}.md")}
    return sorted(file.name for file in folder.glob("*.md") if file.name not in known)


def release(folder: Path, changelog: Path, version: str, day: str) -> None:
    """Put the section on top of the others, and delete what went into it."""
    if unknown := strangers(folder):
        sys.exit(f"expected NAME.KIND.md with KIND of {', '.join(KINDS)}, found {unknown}")
    head, mark, rest = changelog.read_text(encoding="utf-8").partition("\n## ")
    text = f"{head}\n{section(folder, version, day)}"
    changelog.write_text(text + mark + rest, encoding="utf-8", newline="\n")
    for kind in KINDS:
        for file in folder.glob(f"*.{kind}.md"):
            file.unlink()


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or not re.fullmatch(r"\d+\.\d+\.\d+\S*", sys.argv[1]):
        sys.exit(__doc__)
    when = sys.argv[2] if len(sys.argv) == 3 else date.today().isoformat()  # noqa: DTZ011 - a day
    release(HERE, HERE.parent / "CHANGELOG.md", sys.argv[1], when)
