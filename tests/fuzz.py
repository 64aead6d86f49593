"""Damage microscope files in many ways and open them: a result or one clear error, nothing else.

Run `python -m tests.fuzz --cases 5000 FILE…` for a long time of it; `test_fuzz.py` does some of
it. Cases are made and opened in a child process, because what is looked for includes crashes,
hangs and exhausted memory: none may take more than twice what all undamaged files take. Each case
follows from its seed.
"""

from __future__ import annotations

import argparse
import logging
import random
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

CASE_LIMIT_S = 20
MEMORY_LIMIT = 6 << 30
ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Findings:
    """How many cases ended how, and those that must not end so."""

    ends: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def mutate(content: bytes, other: bytes, chance: random.Random) -> bytes:
    """Cut off, flip, overwrite, splice or repeat some of a file."""
    damaged = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5))):
        where = _somewhere(len(damaged), chance)
        length = min(chance.choice((1, 2, 4, 8, 64, 4096)), len(damaged) - where)
        kind = chance.choice(("cut", "flip", "extreme", "zero", "splice", "remove", "repeat"))
        if kind == "cut":
            del damaged[where:]
        elif kind == "flip" and length:
            damaged[where] ^= 1 << chance.randrange(8)
        elif kind == "extreme":
            damaged[where : where + length] = bytes([chance.choice((0xFF, 0x7F, 0x80))] * length)
        elif kind == "zero":
            damaged[where : where + length] = bytes(length)
        elif kind == "splice" and other:
            start = chance.randrange(len(other))
            damaged[where : where + length] = other[start : start + length]
        elif kind == "remove":
            del damaged[where : where + length]
        elif kind == "repeat":
            damaged[where:where] = damaged[where : where + length]
    return bytes(damaged)


def _somewhere(size: int, chance: random.Random) -> int:
    """Prefer the ends of a file, where its structure is described."""
    if size == 0:
        return 0
    near = chance.choice(("anywhere", "start", "end"))
    if near == "start":
        return chance.randrange(min(size, 4096))
    if near == "end":
        return size - 1 - chance.randrange(min(size, 20_000))
    return chance.randrange(size)


def open_and_read(path: Path) -> str:
    """Open a file and read a few planes of every FOV; say how it ended."""
    from pyama_core.errors import PyamaError
    from pyama_core.io.microscopy import load_microscopy_file

    try:
        source, metadata = load_microscopy_file(path, axes=None)
    except PyamaError as error:
        return _judge_message(error, "refused")
    with source:
        try:
            for fov in range(min(metadata.n_fovs, 3)):
                n_frames = metadata.shape_of(fov)[0]
                for time in sorted({0, n_frames // 2, n_frames - 1} & set(range(n_frames))):
                    for channel in range(min(metadata.n_channels, 4)):
                        source.read_frame(fov, channel, time, 0)
        except PyamaError as error:
            return _judge_message(error, "plane refused")
    return "read"


def _judge_message(error: Exception, end: str) -> str:
    message = str(error)
    if not message or len(message) > 1000 or message.count("\n") > 2:
        return f"FAULT unclear message: {message[:200]!r}"
    return end


def child(folder: Path, files: list[Path], first: int, last: int) -> None:
    """Do cases `first` to `last`; a line before and a line after each."""
    logging.disable(logging.CRITICAL)
    contents = [file.read_bytes() for file in files]
    for file in files:
        open_and_read(file)
    normal = _peak_memory()
    for case in range(first, last):
        chance = random.Random(case)
        chosen = chance.randrange(len(files))
        path = folder / f"case{files[chosen].suffix}"
        path.write_bytes(mutate(contents[chosen], chance.choice(contents), chance))
        sys.stdout.write(f"begin {case} {files[chosen].name}\n")
        sys.stdout.flush()
        try:
            end = open_and_read(path)
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            end = f"FAULT {type(error).__name__}: {error}"
        greedy = _peak_memory() > 2 * normal
        if greedy:
            end = f"FAULT memory: {_peak_memory() >> 20} MB, undamaged {normal >> 20} MB ({end})"
        sys.stdout.write(f"end {case} {' '.join(end.split())}\n")
        sys.stdout.flush()
        if greedy:
            # The peak of this process tells nothing any more; a fresh one goes on.
            return


def _peak_memory() -> int:
    """Most memory that this process ever had, in bytes."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


def fuzz(files: list[Path], first: int, cases: int) -> Findings:
    """Open damaged copies of files in child processes, a new one after each death."""
    findings = Findings()
    done, last = first, first + cases
    with tempfile.TemporaryDirectory() as folder:
        while done < last:
            done = _run_child(Path(folder), files, done, last, findings)
    return findings


def _run_child(folder: Path, files: list[Path], first: int, last: int, findings: Findings) -> int:
    """Run a child until it is through or dies; return the first case that is still to do."""
    words = [sys.executable, str(Path(__file__)), "--child", str(folder), str(first), str(last)]
    with subprocess.Popen(
        [*words, *map(str, files)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=_limit_memory if sys.platform.startswith("linux") else None,
    ) as process:
        assert process.stdout is not None
        begun, timer = "none", _kill_after(process, 6 * CASE_LIMIT_S)
        for line in process.stdout:
            timer.cancel()
            word, _, rest = line.strip().partition(" ")
            if word == "begin":
                begun = rest
            else:
                end = rest.partition(" ")[2]
                findings.ends[end if not end.startswith("FAULT") else "FAULT"] += 1
                if end.startswith("FAULT"):
                    findings.faults.append(f"{begun}: {end}")
                first += 1
            timer = _kill_after(process, CASE_LIMIT_S)
        timer.cancel()
        code = process.wait()
    if first < last and code != 0:
        findings.ends["FAULT"] += 1
        findings.faults.append(f"{begun}: the process ended with {code} (a hang ends with -9)")
        first += 1
    return first


def _kill_after(process: subprocess.Popen[str], seconds: float) -> threading.Timer:
    timer = threading.Timer(seconds, process.kill)
    timer.daemon = True
    timer.start()
    return timer


def _limit_memory() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))


def main() -> None:
    """Fuzz the files that are named, or do the cases of a child."""
    if sys.argv[1:2] == ["--child"]:
        folder, first, last = Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
        child(folder, [Path(word) for word in sys.argv[5:]], first, last)
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    findings = fuzz(arguments.files, arguments.seed, arguments.cases)
    sys.stdout.write(f"{dict(findings.ends)}\n")
    for fault in findings.faults:
        sys.stdout.write(f"  {fault}\n")
    raise SystemExit(bool(findings.faults))


if __name__ == "__main__":
    main()
