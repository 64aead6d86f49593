"""Names of FOVs and channels stand in records, results, status and log beside their numbers."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from movies import metadata_of, rough_squares, write_movie
from pyama_core.cli.app import app
from pyama_core.io.checksums import SourceIdentity
from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.io.storage.naming import find_records
from pyama_core.io.storage.records import FovRecord, Names, OutputEntry, Provenance, load_record
from pyama_core.processing.workflow.few_good import find_few_good
from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.processing.workflow.pipeline import run_workflow
from pyama_core.processing.workflow.results_file import write_results
from pyama_core.processing.workflow.services.copying import CopyingService
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext
from runs import exact, inodes

pytestmark = pytest.mark.usefixtures("workers_inline")

SOURCE = SourceIdentity(size=1, mtime_ns=2, sample="x")
CHANNELS = ("Ph [bold]", "GFP", "Ö µ")


@pytest.fixture(scope="module")
def movie(tmp_path_factory) -> MicroscopyMetadata:
    """Two FOVs, A1 and one without a name; three channels."""
    pixels = rough_squares(3, 64, [(20, 20)])[:, [0, 1, 1]]
    path = tmp_path_factory.mktemp("names") / "m.ome.tif"
    metadata = metadata_of(write_movie(path, [pixels, pixels], CHANNELS, 1.0))
    return dataclasses.replace(metadata, fov_names=("A1 [x]", "FOV 1"))


def copy(movie: MicroscopyMetadata, out: Path) -> None:
    context = ProcessingContext(channels=Channels(pc=0, fl=[1]))
    CopyingService().process_all_fovs(movie, context, out)


def records(out: Path) -> list[FovRecord]:
    found = [load_record(path) for path in find_records(out)]
    return [record for record in found if record is not None]


def edit(path: Path, change: Any) -> None:
    content = json.loads(path.read_bytes())
    change(content)
    path.write_text(json.dumps(content))


def test_a_record_has_the_names_and_the_results_file_too(movie, tmp_path):
    copy(movie, tmp_path)
    assert [record.names for record in records(tmp_path)] == [
        Names(fov="A1 [x]", channels=CHANNELS),
        Names(fov="FOV 1", channels=CHANNELS),
    ]
    write_results(tmp_path)
    results = yaml.safe_load((tmp_path / "processing_results.yaml").read_text(encoding="utf-8"))
    assert results["fov_names"] == {0: "A1 [x]", 1: "FOV 1"}
    assert results["channel_names"] == dict(enumerate(CHANNELS))


def test_the_status_shows_names_as_they_are(movie, tmp_path):
    copy(movie, tmp_path)
    result = CliRunner().invoke(app, ["status", str(tmp_path)])
    for words in ("0 (A1 [x])", "│ 1 ", "0 (Ph [bold])", "1 (GFP)"):
        assert words in result.stdout
    assert "FOV 1)" not in result.stdout
    found = json.loads(CliRunner().invoke(app, ["status", str(tmp_path), "--json"]).stdout)
    assert found["fovs"]["0"]["name"] == "A1 [x]"
    assert found["fovs"]["0"]["channel_names"] == list(CHANNELS)
    assert found["fovs"]["0"]["channels"] == {"pc": 0, "fl": [1], "nuclei": None}


@pytest.mark.parametrize("error", ["FOV 0, tracking: too wide", "too wide"])
def test_the_status_names_the_fov_and_the_step_that_failed(movie, tmp_path, error):
    copy(movie, tmp_path)
    failure = {"step": "tracking", "error": error}
    edit(find_records(tmp_path)[0], lambda content: content.update(failure=failure))
    result = CliRunner().invoke(app, ["status", str(tmp_path)])
    assert "FOV 0 (A1 [x]): failed in tracking: too wide\n" in result.stdout


def test_the_log_of_a_run_names_channels_and_fovs(movie, tmp_path):
    context = ProcessingContext(tmp_path, Channels(pc=0, fl=[2], nuclei=None), params=exact())
    assert run_workflow(movie, context, n_workers=1).ok
    log = (tmp_path / "pyama.log").read_text(encoding="utf-8")
    assert "channels: phase contrast 0 (Ph [bold]); fluorescence 2 (Ö µ)\n" in log
    assert "FOV 0 (A1 [x]): done (1 of 2 FOVs, 50 %)\n" in log
    assert "FOV 1: done (2 of 2 FOVs, 100 %)\n" in log


# Records of other versions


def test_a_record_from_before_names_is_believed_and_gains_them(movie, tmp_path):
    copy(movie, tmp_path)
    made = inodes(tmp_path, "*.npy")
    for path in find_records(tmp_path):
        edit(path, lambda content: content.pop("names"))
    assert [record.names for record in records(tmp_path)] == [Names(), Names()]
    assert CliRunner().invoke(app, ["status", str(tmp_path)]).exit_code == 1  # copied only
    write_results(tmp_path)
    results = yaml.safe_load((tmp_path / "processing_results.yaml").read_text(encoding="utf-8"))
    assert (results["fov_names"], results["channel_names"]) == ({}, {})
    copy(movie, tmp_path)
    assert inodes(tmp_path, "*.npy") == made
    assert records(tmp_path)[0].names == Names(fov="A1 [x]", channels=CHANNELS)


def test_what_a_later_version_notes_is_passed_over_and_kept(movie, tmp_path):
    copy(movie, tmp_path)
    made = inodes(tmp_path, "*.npy")
    for path in find_records(tmp_path):
        edit(path, lambda content: content.update(stage={"x": 1}))
        edit(path, lambda content: content["names"].update(well="A1"))
        edit(path, lambda content: content["settings"].update(version="9"))
    copy(movie, tmp_path)
    assert inodes(tmp_path, "*.npy") == made
    content = json.loads(find_records(tmp_path)[0].read_bytes())
    assert content["stage"] == {"x": 1}
    assert content["settings"]["version"] != "9"


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.update(version=2),
        lambda content: next(iter(content["outputs"].values())).update(only_half=True),
        lambda content: next(iter(content["outputs"].values()))["provenance"].update(seed=1),
    ],
    ids=["version", "output", "provenance"],
)
def test_what_could_change_the_meaning_of_a_record_is_not_passed_over(movie, tmp_path, change):
    copy(movie, tmp_path)
    path = find_records(tmp_path)[0]
    edit(path, change)
    assert load_record(path) is None


# Few good cells


def with_verdicts(fov: int, **tables: dict[str, int]) -> FovState:
    entries = {
        name: OutputEntry(
            kind="traces_csv",
            channel=channel,
            provenance=Provenance(step="extraction", algorithm="a/1", parameters={}, inputs={}),
            size=1,
            mtime_ns=1,
            checksum="c",
            host="h",
            boot="b",
            summary=summary,
        )
        for channel, (name, summary) in enumerate(tables.items())
    }
    return FovState(FovRecord(fov=fov, base_name="m", source=SOURCE, outputs=entries))


@pytest.mark.parametrize(
    ("summaries", "told"),
    [
        ([], None),
        ([{"cells": 0, "good": 0}], None),
        ([{"cells": 4, "good": 2, "too short": 2}], None),
        (
            [{"cells": 9, "good": 4, "too short": 2, "merged": 3}],
            ("4 of 9", "'merged' (3)", "extraction.max_merged_part"),
        ),
        (
            [
                {"cells": 9, "good": 1, "too short": 8},
                {"cells": 9, "good": 1, "at the border": 8},
                {"cells": 2, "good": 0, "at the border": 2},
            ],
            ("2 of 20", "'at the border' (10)", "extraction.max_border_part or extraction.border"),
        ),
        ([{"cells": 5, "good": 0, "too short": 1}], ("0 of 5", "'not corrected' (4)", "")),
    ],
)
def test_where_few_cells_are_good_the_limit_that_dropped_most_is_told(summaries, told):
    states = [with_verdicts(fov, a=summary) for fov, summary in enumerate(summaries)]
    few = find_few_good(states)
    if told is None:
        assert few is None
    else:
        counts, reason, limits = told
        expected = f"only {counts} traces are good; the usual reason against the others is {reason}"
        assert str(few) == expected + (f", to which {limits} is the limit" if limits else "")
    if summaries:
        together = with_verdicts(0, **{f"t{i}": summary for i, summary in enumerate(summaries)})
        assert find_few_good([together]) == few


def test_lives_that_the_movie_cuts_off_say_nothing_of_how_cells_are_found():
    counts = {"cells": 20, "good": 4, "too short": 16}
    few = find_few_good([with_verdicts(0, a={**counts, "cut off": 11})])
    assert str(few).startswith(
        "only 4 of 20 traces are good (11 are of lives that the movie cuts off)"
    )
    assert find_few_good([with_verdicts(0, a={**counts, "cut off": 12})]) is None


def test_a_run_of_few_good_cells_says_which_limit_to_change(tmp_path, caplog):
    pixels = rough_squares(3, 128, [(0, 0), (0, 80), (80, 0), (60, 60)])
    path = write_movie(tmp_path / "m.ome.tif", [pixels], ["Phase", "GFP"], 1.0)
    context = ProcessingContext(tmp_path / "out", Channels(pc=0, fl=[1]), params=exact())
    with caplog.at_level(logging.WARNING, logger="pyama_core"):
        assert run_workflow(metadata_of(path), context, n_workers=1).ok
    (told,) = [record.message for record in caplog.records if "traces are good" in record.message]
    assert told.startswith("only 1 of 4 traces are good; the usual reason against the others is ")
    assert told.endswith(
        "'at the border' (3), to which extraction.max_border_part or extraction.border is the limit"
    )
    assert told in (tmp_path / "out" / "pyama.log").read_text(encoding="utf-8")
