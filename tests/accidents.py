"""What happens to the files of a data set: cut off, lost, renamed, mixed up, replaced."""

from __future__ import annotations

import os
import random
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from encoded_data_sets import Written

_KINDS = ("cut", "lose", "empty", "junk", "pipe", "copy", "move", "rename", "swap", "stranger")
_STRANGE = "other "


def happen(written: Written, stranger: Written, chance: random.Random) -> tuple[Written, list[str]]:
    """Let some accidents happen to a data set.

    Parameters
    ----------
    written : Written
        A data set.
    stranger : Written
        Another one, whose files come among those of the first.
    chance : random.Random
        Decides what happens.

    Returns
    -------
    written : Written
        Where the data set is now.
    told : list of str
        What happened.
    """
    told = []
    for _ in range(chance.choice((0, 1, 1, 2, 4))):
        kind = chance.choice(_KINDS)
        files = _files(written.path)
        if not files:
            break
        victim = chance.choice(files)
        told.append(f"{kind} {victim.name}")
        if kind == "move":
            written = _move(written, chance)
        elif kind == "rename":
            # To a name that no other file has; a name of another place would be a lie.
            victim.rename(victim.with_name(f"old {chance.randrange(100)} of {victim.name}"))
        elif kind == "swap" and written.has_identity:
            own = [file for file in files if not file.name.startswith(_STRANGE)]
            if own:
                _swap(chance.choice(own), chance.choice(own))
        elif kind == "stranger":
            other = chance.choice(_files(stranger.path))
            _copy(other, victim.with_name(_STRANGE + other.name))
        elif kind != "swap":
            _spoil(victim, kind, chance)
    return written, told


def _files(path: Path) -> list[Path]:
    root = path.parent if path.suffix else path
    return sorted(file for file in root.rglob("*") if file.is_file())


def _spoil(victim: Path, kind: str, chance: random.Random) -> None:
    content = victim.read_bytes()
    if kind == "copy":
        _copy(victim, victim.with_name(f"{victim.stem} - Copy{victim.suffix}"))
        return
    victim.unlink()
    if kind == "cut":
        victim.write_bytes(content[: chance.randrange(len(content) + 1)])
    elif kind == "empty":
        victim.touch()
    elif kind == "junk":
        victim.write_bytes(chance.choice([b"lost+found\n", bytes(5000), chance.randbytes(3000)]))
    elif kind == "pipe" and sys.platform != "win32":
        os.mkfifo(victim)


def _copy(file: Path, target: Path) -> None:
    target.unlink(missing_ok=True)  # it may be a pipe
    shutil.copy(file, target)


def _move(written: Written, chance: random.Random) -> Written:
    """Move all of it to another folder, or give another name to what is opened."""
    path = written.path
    moved = path.parent.with_name(f"{path.parent.name} moved {chance.randrange(10**6)}")
    path.parent.rename(moved)
    return replace(written, path=moved / path.name)


def _swap(one: Path, other: Path) -> None:
    if one != other:
        between = one.with_name("between")
        one.rename(between)
        other.rename(one)
        between.rename(other)
