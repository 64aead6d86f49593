"""`pyama warm-up`, and that calls which compile in parts compile what the whole needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pyama_core import ProcessingContext
from pyama_core.cli.app import app
from pyama_core.cli.warm_up import Wanted
from pyama_core.processing import compiling
from pyama_core.processing.workflow.services.analysis import parse_analysis
from pyama_core.processing.workflow.warm_up import all_warm_ups, warm_ups

WHAT_THE_WHOLE_COMPILES_AFTER_ITS_PARTS = """
import json, sys
from pyama_core import ProcessingContext
from pyama_core.processing.workflow.services.analysis import parse_analysis
from pyama_core.processing.workflow.warm_up import warm_ups
from test_kernels import counts

params = {"segmentation": {"method": "instances"}}
calls = warm_ups(parse_analysis(ProcessingContext(params=params)), "uint16")
for call in calls.shared:
    call()
before = counts()
for call in calls.each:
    call()
after = counts()
print(len(calls.each), json.dumps([name for name, n in after.items() if before.get(name) != n]))
"""


def warm_up(*words: str):
    return CliRunner().invoke(app, ["warm-up", *words])


def test_it_compiles_and_says_where_the_code_is():
    done = warm_up("--segmentation", "log-std", "--tracking", "iou", "--workers", "1")
    assert done.exit_code == 0, done.output
    assert "s, and kept in " in done.output
    assert Path(done.output.splitlines()[-1].partition("kept in ")[2]).is_dir()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--segmentation", "watershed"], "watershed"),
        (["--tracking", "best"], "best"),
        (["--pixels", "rgb"], "--pixels: there is no type 'rgb' of pixels; known: uint8, uint16"),
    ],
)
def test_what_there_is_not_is_refused_by_name(words, told):
    refused = warm_up(*words)
    assert refused.exit_code == 2
    assert told in refused.output


def test_what_several_runs_need_is_compiled_once():
    both = Wanted(segmentations=("instances", "log-std"), pixels=("uint8", "uint16")).calls()
    functions = [call.func.__name__ for call in both.shared]
    assert functions.count("_track") == functions.count("_measure") == 1
    assert functions.count("_correct") == 2
    alone = warm_ups(parse_analysis(ProcessingContext()), "uint16")
    assert len(all_warm_ups([alone, alone]).shared) == len(alone.shared)


def test_code_that_is_not_kept_is_no_success(monkeypatch):
    monkeypatch.setattr(compiling, "_places", {"/a/b", "/a/c"})
    monkeypatch.setattr(compiling, "_without_place", set())
    monkeypatch.setattr(compiling, "_full", set())
    assert compiling.place_of_code() == os.path.commonpath(["/a/b", "/a/c"])
    monkeypatch.setattr(compiling, "_full", {"/a/c"})
    assert compiling.place_of_code() is None
    monkeypatch.setattr(compiling, "_full", set())
    monkeypatch.setattr(compiling, "_without_place", {"kernel"})
    assert compiling.place_of_code() is None


def test_parts_compile_all_that_the_whole_needs(tmp_path):
    # In a process of its own, in which no other test has compiled anything.
    script = tmp_path / "parts.py"
    script.write_text(WHAT_THE_WHOLE_COMPILES_AFTER_ITS_PARTS, encoding="utf-8")
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    n_wholes, compiled = run.stdout.split(maxsplit=1)
    assert (n_wholes, json.loads(compiled)) == ("1", [])
