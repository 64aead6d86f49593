"""The page tells what a file is, and what is set there is the `run.yaml` of the command."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import yaml

from asking import Page, read_pixels
from movies import write_movie
from pyama_core.cli.run import Flags, plan_run
from pyama_core.demo import write_demo
from pyama_core.processing.workflow.configuration import load_config
from pyama_core.processing.workflow.samples.stored import load_samples


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "Daten für heute"
    folder.mkdir()
    return folder


@pytest.fixture
def opened(root):
    """Open a page, and close what it holds."""
    page = Page([root])
    yield page
    page.desk.close()


@pytest.fixture
def demo_file(root, demo):
    return shutil.copy(demo.image, root / "demo.ome.tif")


@pytest.fixture(scope="module")
def looked_at(demo, tmp_path_factory):
    """A page, a file that was looked at, which takes a second, and what was proposed for it."""
    root = tmp_path_factory.mktemp("looked at")
    path = shutil.copy(demo.image, root / "demo.ome.tif")
    page = Page([root])
    yield page, path, draft_of(page, path)["draft"]
    page.desk.close()


def plate(root):
    image = np.random.default_rng(0).integers(100, 900, (2, 2, 40, 60), np.uint16)
    names = [f"{row}{column}_{i}" for row in "BC" for column in (2, 3) for i in range(2)]
    path = root / "plate.ome.tif"
    return write_movie(path, [image] * len(names), ["Phase", "GFP"], 5, names), names


def draft_of(page, path, **asks):
    answer = page.get("/api/draft", at=str(path), **asks)
    assert answer.status == 200, answer.json
    return answer.json


def save(page, path, draft, **asks):
    return page.post("/api/draft/save", at=str(path), draft=draft, **asks)


def test_a_file_is_described_with_its_channels_and_what_they_show(opened, demo_file, root):
    told = opened.get("/api/source", at=str(demo_file)).json
    assert told["words"] == "3 positions, 10 frames, 3 channels, 256 × 256 pixels"
    assert [each["name"] for each in told["channels"]] == ["phase contrast", "GFP", "mCherry"]
    assert told["out"] == str(root / "demo_results")
    assert {"name": "pixel size", "words": "0.65 µm"} in told["facts"]
    look = opened.get("/api/source/look", at=str(demo_file)).json
    assert (look["pc"], look["segment"], look["fl"]) == (0, None, [1, 2])
    phase = look["channels"][0]
    assert phase["kind"].startswith("adherent cells")
    assert "of the contrast" in phase["reason"]


def test_a_file_that_cannot_be_read_is_told_in_words_and_read_as_one_says(opened, root):
    import tifffile

    path = root / "plain.tif"
    tifffile.imwrite(path, np.zeros((6, 30, 40), np.uint16))
    told = opened.get("/api/source", at=str(path), axes="CYX")
    assert told.status == 200
    assert len(told.json["channels"]) == 6
    answer = opened.get("/api/source", at=str(path), axes="TTYX")
    assert answer.status == 400
    assert "axes" in answer.json["error"]
    assert opened.get("/api/source", at=str(path), z="the best").status == 400


def test_thumbnails_show_the_frame_that_is_asked_for(opened, root):
    image = np.zeros((3, 2, 300, 200), np.uint16)
    image[1, 0, :150] = 1000
    image[1, 1, 150:] = 1000
    path = write_movie(root / "halves.ome.tif", [image], ["Phase", "GFP"], 5)
    for channel, bright in ((0, slice(0, 36)), (1, slice(39, None))):
        answer = opened.get("/api/source/thumbnail", at=str(path), fov=0, channel=channel)
        picture = read_pixels(answer)
        assert max(picture.shape) <= 128
        assert (picture[bright] == 255).all()
        assert (picture == 0).any()
    assert opened.get("/api/source/thumbnail", at=str(path), fov=7, channel=0).status == 400


def test_wells_and_positions_are_found_by_the_names_of_the_file(opened, root):
    path, _names = plate(root)
    told = opened.get("/api/source", at=str(path)).json
    assert [each["well"] for each in told["fovs"]][:3] == [[2, 2], [2, 2], [2, 3]]
    for words, expected in {"B2": [0, 1], "0-2,7": [0, 1, 2, 7], "B2-B3": [0, 1, 2, 3]}.items():
        found = opened.get("/api/source/positions", at=str(path), words=words)
        assert found.json == {"fovs": expected}
    assert opened.get("/api/source/positions", at=str(path), words="Z9").status == 400
    samples = draft_of(opened, path)["draft"]["samples"]
    assert [each["sample"] for each in samples] == ["B2", "B3", "C2", "C3"]


def test_what_is_proposed_is_saved_as_what_the_command_runs(opened, demo_file, root):
    told = draft_of(opened, demo_file)
    assert not told["is_saved"]
    assert not (root / "demo_results").exists()
    draft = told["draft"]
    draft["steps"] = {
        "segmentation": {"method": "instances", "cell_diameter": "25 um"},
        "tracking": {"method": "iou", "min_iou": 0.25},
    }
    draft["samples"] = [{"sample": "control", "fovs": [0, 2]}, {"sample": "5 µM", "fovs": [1]}]
    draft["fovs"] = [0, 2]
    answer = save(opened, demo_file, draft)
    assert answer.status == 200, answer.json
    path = root / "demo_results" / "run.yaml"
    assert answer.json["path"] == str(path)
    planned = plan_run(Flags(), path)
    request = planned.parse()
    assert planned.output == path.parent
    assert planned.fovs == [0, 2]
    assert (request.analysis.channels.pc, request.analysis.channels.fl) == (0, (1, 2))
    parameters = request.analysis.parameters
    assert (parameters.segmentation.cell_diameter, parameters.tracking.min_iou) == ("25 um", 0.25)
    assert request.samples.as_ranges() == {"control": "0,2", "5 µM": "1"}
    again = draft_of(opened, demo_file)
    assert again["is_saved"]
    draft["steps"] |= {"correction": {"method": "tiled-interpolation"}}
    draft["steps"] |= {"nuclei": again["draft"]["steps"]["nuclei"]}
    assert again["draft"] == draft
    assert draft_of(opened, root / "demo_results")["draft"] == draft
    before = load_config(path, {})
    assert save(opened, demo_file, again["draft"]).status == 200
    assert load_config(path, {}) == before


def test_what_else_the_configuration_says_of_samples_outlives_a_save(opened, demo_file, root):
    draft = draft_of(opened, demo_file)["draft"]
    draft["samples"] = [{"sample": "control", "fovs": [0]}, {"sample": "drug", "fovs": [1]}]
    assert save(opened, demo_file, draft).status == 200
    path = root / "demo_results" / "run.yaml"
    written = yaml.safe_load(path.read_text("utf-8"))
    written["samples"] = {"control": "0", "drug": {"fovs": "1", "dose": 5}}
    path.write_text(yaml.safe_dump(written), "utf-8")
    assert save(opened, demo_file, draft).status == 200
    assert load_config(path, {}).samples == {"control": "0", "drug": {"fovs": "1", "dose": "5"}}
    draft["samples"][1]["fovs"] = [1, 2]
    assert save(opened, demo_file, draft).status == 200
    assert load_config(path, {}).samples == {"control": "0", "drug": {"fovs": "1-2", "dose": "5"}}


def test_a_table_of_samples_stays_and_what_it_says_of_single_positions_is_not_lost(
    opened, demo_file, root
):
    draft = draft_of(opened, demo_file)["draft"]
    draft["samples"] = [{"sample": "drug", "fovs": [0, 1]}]
    assert save(opened, demo_file, draft).status == 200
    path = root / "demo_results" / "run.yaml"
    table = path.parent / "doses.csv"
    table.write_text("fov,sample,dose\n0,drug,1\n1,drug,5\n", "utf-8")
    written = yaml.safe_load(path.read_text("utf-8")) | {"samples": "doses.csv"}
    path.write_text(yaml.safe_dump(written), "utf-8")
    draft["keep"] = "labels"
    assert save(opened, demo_file, draft).status == 200
    assert load_config(path, {}).samples == "doses.csv"
    before = path.read_bytes()
    draft["samples"][0]["fovs"] = [0, 1, 2]
    refused = save(opened, demo_file, draft)
    assert refused.status == 400
    assert "differ in dose" in refused.json["error"]
    assert path.read_bytes() == before


def test_the_minutes_between_frames_that_are_typed_are_those_of_the_run(opened, demo_file, root):
    assert opened.get("/api/source", at=str(demo_file)).json["has_times"]
    image = np.zeros((3, 2, 20, 30), np.uint16)
    silent = root / "silent.ome.tif"
    write_movie(silent, [image], ["Phase", "GFP"], None)
    told = opened.get("/api/source", at=str(silent)).json
    assert not told["has_times"]
    assert (
        "say how long it is between frames"
        in {fact["name"]: fact["words"] for fact in told["facts"]}["times"]
    )
    draft = draft_of(opened, silent)["draft"]
    draft["channels"] = {"pc": 0, "segment": None, "fl": [1], "nuclei": None}
    draft["steps"]["extraction"] = {"interval_minutes": 2.5}
    saved = save(opened, silent, draft)
    assert saved.status == 200, saved.json
    request = plan_run(Flags(), root / "silent_results" / "run.yaml").parse()
    assert request.analysis.parameters.extraction.interval_minutes == 2.5


def test_channels_and_positions_whose_names_are_numbers_are_written_so_that_they_are_meant(
    opened, root
):
    image = np.random.default_rng(0).integers(100, 900, (2, 3, 40, 60), np.uint16)
    path = write_movie(root / "n.ome.tif", [image] * 3, ["2", "0", "1"], 5, list("210"))
    draft = draft_of(opened, path)["draft"]
    draft["channels"] = {"pc": 0, "segment": None, "fl": [1, 2], "nuclei": None}
    draft["fovs"] = [0, 1]
    draft["samples"] = [{"sample": "x", "fovs": [0]}, {"sample": "y", "fovs": [1, 2]}]
    assert save(opened, path, draft).status == 200
    planned = plan_run(Flags(), root / "n_results" / "run.yaml")
    request = planned.parse()
    assert (request.analysis.channels.pc, request.analysis.channels.fl) == (0, (1, 2))
    assert planned.fovs == [0, 1]
    assert request.samples.fovs_of("y") == [1, 2]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"channels": {"pc": 9, "fl": [1]}}, "channels"),
        ({"channels": {"pc": 0, "segment": 1, "fl": [1]}}, "segment"),
        ({"steps": {"segmentation": {"method": "nothing"}}}, "nothing"),
        ({"steps": {"segmentation": {"method": "instances", "cell_diameter": -3}}}, "cell_diam"),
        ({"steps": {"file": {"method": "x"}}}, "no step 'file'"),
        ({"steps": {"extraction": {"features": ["os:system"]}}}, "code of one's own"),
        (
            {"steps": {"segmentation": {"method": "files", "path": "/etc/{fov}.tif"}}},
            "/etc",
        ),
        ({"fovs": []}, "no position"),
        ({"fovs": [3]}, "no position 3"),
        ({"samples": [{"sample": "a", "fovs": [0]}, {"sample": "a", "fovs": [1]}]}, "same name"),
        ({"samples": [{"sample": "a", "fovs": [0]}, {"sample": "b", "fovs": [0]}]}, "one sample"),
        ({"samples": [{"sample": "=A1", "fovs": [0]}]}, "formula"),
        ({"keep": "nothing"}, "keep"),
        ({"workers": 0}, "workers"),
        ({"reading": {"z": "best"}}, "z"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words_and_nothing_is_written(looked_at, change, words):
    page, path, draft = looked_at
    answer = save(page, path, draft | change)
    assert answer.status == 400
    assert words in answer.json["error"]
    assert list(path.parent.iterdir()) == [path]


def test_outputs_are_written_below_the_roots_alone(opened, demo_file, root, tmp_path):
    draft = draft_of(opened, demo_file)["draft"]
    for out in (tmp_path / "elsewhere", root / ".." / "elsewhere", demo_file):
        assert save(opened, demo_file, draft, out=str(out)).status in (400, 409)
    assert not (tmp_path / "elsewhere").exists()
    assert save(opened, demo_file, draft, out=str(root / "zwei" / "Läufe")).status == 200
    assert (root / "zwei" / "Läufe" / "run.yaml").exists()


def test_a_configuration_that_is_spoilt_or_of_another_file_is_not_written_over(
    opened, demo_file, root
):
    out = root / "demo_results"
    out.mkdir()
    for text in ("file: ../other.tif\noutput: .\n", "file: [", "nonsense: 3\n"):
        (out / "run.yaml").write_text(text)
        told = draft_of(opened, demo_file)
        assert told["problem"]
        assert save(opened, demo_file, told["draft"]).status == 400
        assert (out / "run.yaml").read_text() == text


def test_code_of_ones_own_that_is_in_use_already_stays(opened, demo_file, root):
    (root / "own.py").write_text("def darkness(image, mask):\n    return 0.0\n")
    out = root / "demo_results"
    out.mkdir()
    shutil.move(root / "own.py", out / "own.py")
    (out / "run.yaml").write_text(
        "file: ../demo.ome.tif\noutput: .\nchannels: {pc: 0, fl: [1]}\n"
        "extraction: {features: [shape, 'own:darkness']}\n"
    )
    draft = draft_of(opened, demo_file)["draft"]
    assert save(opened, demo_file, draft).status == 200
    assert yaml.safe_load((out / "run.yaml").read_text())["extraction"]["features"] == [
        "shape",
        "own:darkness",
    ]


def test_results_of_a_run_tell_how_they_were_made_and_keep_what_is_known_of_samples(
    root, owned, demo
):
    place = root / "results"
    shutil.move(owned.folder, place)
    page = Page([root, demo.image.parent])
    try:
        told = draft_of(page, place)
        assert told["is_saved"]
        assert told["draft"]["channels"]["fl"] == [1, 2]
        assert told["draft"]["steps"]["segmentation"]["method"] == "log-std"
        samples = told["draft"]["samples"]
        assert samples[0] == {"sample": "control", "fovs": [0]}
        told["draft"]["samples"] = [{"sample": "control", "fovs": [0, 1]}]
        assert save(page, place, told["draft"]).status == 200
        now = load_samples(place)
        assert now.as_ranges() == {"control": "0-1", "unassigned": "2"}
        assert now.further["dose"] == {0: "0", 1: "5", 2: "5"}
    finally:
        page.desk.close()


def test_a_source_that_lies_outside_of_the_roots_is_not_read(copied_results):
    answer = Page([copied_results]).get("/api/source", at=str(copied_results))
    assert answer.status == 400
    assert "below" in answer.json["error"]


def test_the_demo_can_be_set_up_where_it_was_written(root, opened):
    made = write_demo(root / "demo", fovs=1, frames=2, size=64)
    assert draft_of(opened, made.image)["draft"]["channels"]["fl"]
