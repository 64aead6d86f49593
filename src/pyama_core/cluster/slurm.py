"""Jobs for SLURM: an array of the parts of a run, and one that closes it.

The scheduler starts the ordinary command; nothing here runs while the jobs do. A part that is
preempted is queued again and goes on from its records. The closing job waits for all parts,
however they end, writes the results file and fails unless everything is done.

Options and states are those of the manual pages of ``sbatch`` and ``scontrol``.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyama_core.errors import InputError, PyamaError
from pyama_core.io.storage.atomic import write_whole

FOLDER = "slurm"
"""Of scripts and of what jobs print, in the output folder."""
_NOTICE_S = 120
"""Between the word that time is up and the end: enough to leave everything in order."""
_PATIENCE_S = 60


@dataclass(frozen=True)
class Resources:
    """What a job is given.

    Attributes
    ----------
    tasks : int or None
        Parts of the run.
    cpus : int or None
        Cores of each, which is also its number of worker processes.
    memory, time, partition, account : str or None
        As ``sbatch`` takes them; what is None is left to the cluster.
    further : tuple of str
        Any other options of ``sbatch``, such as ``--qos=low``.
    """

    tasks: int | None
    cpus: int | None
    memory: str | None = None
    time: str | None = None
    partition: str | None = None
    account: str | None = None
    further: tuple[str, ...] = ()

    def for_closing(self) -> Resources:
        """Return what the closing job needs of it."""
        return Resources(1, 1, None, self.time, self.partition, self.account, self.further)


@dataclass(frozen=True)
class Scripts:
    """The scripts of the array and of the closing job."""

    array: str
    closing: str


@dataclass(frozen=True)
class Submitted:
    """Numbers of the jobs."""

    array: str
    closing: str


def make_scripts(
    run: Sequence[str],
    finish: Sequence[str],
    output_dir: Path,
    working_dir: Path,
    resources: Resources,
) -> Scripts:
    """Make the scripts that `submit` submits.

    Parameters
    ----------
    run, finish : sequence of str
        Words of the commands that work on a part (without ``--shard``) and that close the run.
    output_dir : Path
        Folder of the run; what jobs print goes to `FOLDER` in it.
    working_dir : Path
        Where the commands were typed: relative paths in them start there.
    resources : Resources
        What a job is given.

    Raises
    ------
    InputError
        There is a line break in a path, which no script can hold.
    """
    name = output_dir.absolute().name or "run"
    of_part = f'{shlex.join(run)} --shard "$SLURM_ARRAY_TASK_ID/{resources.tasks}"'
    array = [
        *_options(f"pyama {name}", output_dir, "%A_%a", resources),
        f"--array=1-{resources.tasks}",
        "--requeue",
        f"--signal=B:TERM@{_NOTICE_S}",
    ]
    closing = _options(f"pyama {name}, end", output_dir, "%j", resources.for_closing())
    return Scripts(
        _script(array, working_dir, of_part), _script(closing, working_dir, shlex.join(finish))
    )


def _options(name: str, output_dir: Path, log: str, resources: Resources) -> list[str]:
    folder = str(output_dir.absolute() / FOLDER).replace("%", "%%")
    options = [
        f"--job-name={name}",
        "--nodes=1",
        "--ntasks=1",
        f"--cpus-per-task={resources.cpus}",
        f"--output={folder}/{log}.out",
        "--open-mode=append",
    ]
    given = {
        "mem": resources.memory,
        "time": resources.time,
        "partition": resources.partition,
        "account": resources.account,
    }
    options += [f"--{key}={value}" for key, value in given.items() if value is not None]
    return [*options, *resources.further]


def _script(options: Sequence[str], working_dir: Path, command: str) -> str:
    lines = [
        "#!/bin/bash",
        *(f"#SBATCH {_quoted(option)}" for option in options),
        f"cd -- {shlex.quote(str(working_dir))} || exit 1",
        # In the place of the shell, for signals are sent to the first process of a job.
        f"exec {command}",
    ]
    if any("\n" in line or "\r" in line for line in lines):
        raise InputError("there is a line break in a path or an option; a job cannot have one")
    return "\n".join(lines) + "\n"


def _quoted(option: str) -> str:
    """Return an option as ``sbatch`` reads it in a script: with its value in quotes."""
    name, equals, value = option.partition("=")
    if not equals or re.fullmatch(r"[\w@%:./,+-]*", value, re.ASCII):
        return option
    if '"' in value:
        raise InputError(f"there is a quotation mark in {value}; a job cannot have one")
    return f'{name}="{value}"'


def save_scripts(scripts: Scripts, output_dir: Path) -> tuple[Path, Path]:
    """Write the scripts into the output folder, which must exist, and return their paths.

    Raises
    ------
    StorageError
        The folder cannot be written.
    """
    folder = output_dir / FOLDER
    folder.mkdir(exist_ok=True)
    paths = folder / "run.sh", folder / "finish.sh"
    for path, text in zip(paths, (scripts.array, scripts.closing), strict=True):
        write_whole(path, text)
    return paths


def require_slurm(tasks: int) -> None:
    """Make sure that there is a SLURM here which takes so large an array.

    Raises
    ------
    InputError
        There is none, or it does not.
    """
    if shutil.which("sbatch") is None:
        raise InputError(
            "sbatch was not found: submit from a computer of the cluster, or look at the scripts "
            "with --dry-run"
        )
    largest = _largest_array()
    if largest is not None and tasks > largest:
        raise InputError(
            f"--array {tasks}: this cluster takes arrays of up to {largest} tasks (MaxArraySize)"
        )


def _largest_array() -> int | None:
    try:
        told = _ask("scontrol", "show", "config")
    except (InputError, OSError):
        return None  # sbatch will say what is wrong
    match = re.search(r"^MaxArraySize\s*=\s*(\d+)", told, re.MULTILINE)
    return int(match[1]) - 1 if match else None


def submit(array: Path, closing: Path) -> Submitted:
    """Submit both jobs, or none.

    Raises
    ------
    InputError
        The scheduler refuses one of them; the message is its own.
    """
    first = _submit_one(array)
    try:
        last = _submit_one(closing, f"--dependency=afterany:{first}")
    except PyamaError:
        _ask("scancel", first)
        raise
    return Submitted(first, last)


def _submit_one(script: Path, *options: str) -> str:
    told = _ask("sbatch", "--parsable", *options, str(script))
    return told.strip().splitlines()[-1].partition(";")[0]


def _ask(*words: str) -> str:
    try:
        # Words of a list, which no shell reads.
        done = subprocess.run(  # noqa: S603
            words, capture_output=True, check=True, text=True, timeout=_PATIENCE_S
        )
    except subprocess.CalledProcessError as error:
        reason = _said(error.stderr) or f"exit code {error.returncode}"
        raise InputError(f"{words[0]}: {reason}") from error
    except subprocess.TimeoutExpired as error:
        said = _said((error.stderr or b"").decode(errors="replace"))
        raise InputError(f"{words[0]} has not ended for {_PATIENCE_S} s: {said}") from error
    return done.stdout


def _said(output: str) -> str:
    """Return what a command said, in a line, without its own name before each."""
    return " ".join(re.sub(r"^\w+: (error: )?", "", line).strip() for line in output.splitlines())
