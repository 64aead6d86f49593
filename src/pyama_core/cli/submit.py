"""`pyama submit`: a run on a cluster; and `pyama finish`, which closes one."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyama_core.cli.report import report_of_run
from pyama_core.cli.run import Flags, plan_run
from pyama_core.cli.streams import echo
from pyama_core.errors import InputError, StorageError
from pyama_core.io.frame_ranges import format_ranges
from pyama_core.io.paths import given_path
from pyama_core.io.storage.naming import RESULTS_NAME
from pyama_core.processing.workflow.finishing import Standing, finish_run
from pyama_core.processing.workflow.pipeline import prepare_folder
from pyama_core.processing.workflow.shards import Shard

if TYPE_CHECKING:
    from pyama_core.cluster.slurm import Resources

_UNFIT = {
    "shard": "--shard",
    "write_config": "--write-config",
    "scheduler": "--scheduler",
    "scheduler_file": "--scheduler-file",
    "cluster": "--cluster",
    "max_readers": "--max-readers",
}
_USUAL_TASKS = 100
_USUAL_CPUS = 4


def submit(
    parameters: Mapping[str, Any],
    typed: list[str],
    resources: Resources,
    *,
    dry_run: bool,
) -> int:
    """Submit a run as an array of jobs and one that closes it; or print their scripts.

    Everything that a run would refuse is refused here, before a job waits for hours to find out.
    """
    from pyama_core.cluster.slurm import make_scripts, require_slurm, save_scripts
    from pyama_core.cluster.slurm import submit as submit_jobs

    paths = {
        name: given_path(value, flag)
        for name, flag in (("file", "FILE"), ("output", "--output"), ("config", "--config"))
        if (value := parameters[name]) is not None
    }
    if unfit := [flag for name, flag in _UNFIT.items() if parameters[name]]:
        raise InputError(f"{unfit[0]} is not for pyama submit; type it after pyama run")
    planned = plan_run(
        Flags.of({**parameters, **paths}), paths.get("config"), parameters["restore"]
    )
    request = planned.parse()
    n_fovs = len(request.fovs)
    tasks = min(resources.tasks or _USUAL_TASKS, n_fovs)
    cpus = resources.cpus or planned.workers or _USUAL_CPUS
    resources = dataclasses.replace(resources, tasks=tasks, cpus=cpus)
    command = [sys.executable, "-m", "pyama_core"]
    run = [*command, "run", *typed]
    if planned.workers is None:
        run += ["--workers", str(cpus)]
    output = planned.output
    closing = [*command, "finish", str(output.absolute())]
    if not parameters["report"]:
        closing.append("--no-report")
    scripts = make_scripts(run, closing, output, Path.cwd(), resources)
    if dry_run:
        echo(f"# the array: {tasks} tasks for {n_fovs} FOVs\n{scripts.array}")
        echo(f"# the closing job, after all of these\n{scripts.closing}")
        return 0
    require_slurm(tasks)
    _make_folder(output)
    prepare_folder(dataclasses.replace(request, shard=Shard(1, tasks)))
    jobs = submit_jobs(*save_scripts(scripts, output))
    echo(
        f"submitted: job {jobs.array}, {tasks} tasks for {n_fovs} FOVs; job {jobs.closing} closes "
        f"the run\npyama status {output} tells how far it is"
    )
    return 0


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError.about("make the folder", path, error) from error


def finish(folder: Path, *, report: bool = True) -> int:
    """Write the results file and the report of parts that are done, and say what is not."""
    standing = finish_run(folder)
    told = [
        f"{len(fovs)} {words}"
        for fovs, words in (
            (standing.done, "done"),
            (standing.failed, "failed"),
            (standing.unfinished, "unfinished"),
            (standing.not_begun, "not begun"),
        )
        if fovs
    ]
    echo(f"FOVs: {', '.join(told)}; see {folder / RESULTS_NAME}")
    _tell_what_is_left(standing)
    if report and (standing.done or standing.failed or standing.unfinished):
        report_of_run(folder)
    return 0 if standing.is_complete else 1


def _tell_what_is_left(standing: Standing) -> None:
    for words, fovs in (
        ("failed", standing.failed),
        ("unfinished", standing.unfinished),
        ("not begun", standing.not_begun),
    ):
        if fovs:
            echo(f"  {words}: FOVs {format_ranges(fovs)}", err=True)
    if not standing.is_complete:
        echo("submit or run the same again to go on from here", err=True)
