"""What is tried on a frame is what a run makes of it, and what is wrong is said in words."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import types
from importlib.machinery import ModuleSpec

import numpy as np
import psutil
import pytest
from typer.testing import CliRunner

from asking import Page, read_pixels
from movies import write_movie
from pyama_core.app.controls import known_methods
from pyama_core.app.readings import Readings
from pyama_core.app.tuner import Haste, StaleError, TrialDiedError, Tuner
from pyama_core.cli.app import app
from pyama_core.demo import write_demo
from pyama_core.errors import InputError
from pyama_core.io.microscopy import load_microscopy_file
from pyama_core.processing.segmentation.segmenter import Calibration, find_segmentation


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    """Stand in for the check of all other tests: the process that tries is of all tests here."""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("Zellen für heute")


@pytest.fixture(scope="module")
def opened(root):
    page = Page([root])
    yield page
    page.desk.close()
    assert multiprocessing.active_children() == []


@pytest.fixture(scope="module")
def demo_file(root):
    return write_demo(root, fovs=1, frames=4, size=192, seed=3).image


def draft_of(page, path, **steps):
    draft = page.get("/api/draft", at=str(path)).json["draft"]
    return {**draft, "steps": steps}


def tried(page, what, path, draft, **asks):
    asks = {"at": str(path), "draft": draft, "page": "a", "fov": 0, "t": 0, **asks}
    answer = page.post(f"/api/tune/{what}", **asks)
    assert answer.status == 200, answer.json
    return answer.json


def found(page, what, path, draft, **asks):
    told = tried(page, what, path, draft, **asks)
    assert told["problem"] == ""
    return told["found"]


def picture(page, number, name, level=0):
    return read_pixels(page.get("/api/tune/reading", number=number, name=name, level=level))


def labels_of_run(page, path, draft, out, name):
    """Save what is set, run it as the command does, and return a stack of the first position."""
    assert page.post("/api/draft/save", at=str(path), out=str(out), draft=draft).status == 200
    done = CliRunner().invoke(app, ["run", "--config", str(out / "run.yaml"), "--workers", "1"])
    assert done.exit_code == 0, done.output
    [stack] = out.glob(f"fov_000*/*{name}*.npy")
    return np.load(stack)


def test_outlines_are_those_of_the_run_that_is_saved_byte_for_byte(opened, demo_file, root):
    draft = draft_of(opened, demo_file, segmentation={"method": "instances"})
    draft |= {"fovs": [0], "keep": "all"}
    told = {t: found(opened, "outlines", demo_file, draft, t=t) for t in (0, 2, 3)}
    shown = {t: picture(opened, each["number"], "labels") for t, each in told.items()}
    corrected = found(opened, "background", demo_file, draft, t=2, channel=1)
    tracks = found(opened, "tracks", demo_file, draft, t=0)
    out = root / "instances"
    stack = labels_of_run(opened, demo_file, draft, out, "_seg_ch")
    for t, labels in shown.items():
        assert labels.dtype == stack.dtype
        np.testing.assert_array_equal(labels, stack[t])
        assert told[t]["count"] == len(np.unique(stack[t])) - 1 > 1
    [fluorescence] = out.glob("fov_000*/*fl_corrected_ch_1*.npy")
    np.testing.assert_array_equal(
        picture(opened, corrected["number"], "corrected"), np.load(fluorescence)[2]
    )
    [followed] = out.glob("fov_000*/*seg_labeled*.npy")
    assert tracks["frames"] == list(range(4))  # all that there are
    for t in (0, 3):
        np.testing.assert_array_equal(
            picture(opened, tracks["number"], f"labels {t}"), np.load(followed)[t]
        )


@pytest.mark.parametrize(
    ("method", "channels"),
    [
        pytest.param({"method": "log-std"}, {"pc": 0, "fl": [1]}, marks=pytest.mark.slow),
        pytest.param(
            {"method": "bright", "min_diameter": 9, "contrast": 5},
            {"segment": 1, "fl": [1]},
            marks=pytest.mark.slow,
        ),
        ({"method": "auto", "grow_by": "2 um"}, {"segment": 2, "fl": [1]}),
    ],
)
def test_each_method_shows_what_it_makes(opened, demo_file, root, method, channels):
    draft = draft_of(opened, demo_file, segmentation=method) | {"channels": channels, "fovs": [0]}
    if method["method"] == "bright":  # what was found with other limits is of use, and no harm
        before = draft | {"steps": {"segmentation": {"method": "bright", "contrast": 5}}}
        assert found(opened, "outlines", demo_file, before, t=3)["count"] > 0
    told = found(opened, "outlines", demo_file, draft, t=3)
    labels = picture(opened, told["number"], "labels")
    stack = labels_of_run(opened, demo_file, draft, root / method["method"], "_seg_ch")
    assert told["count"] > 0
    np.testing.assert_array_equal(labels, stack[3])
    if method["method"] == "auto":
        assert told["method"] == "bright"
        assert told["kind"] == "bright objects"
        assert "of the contrast" in told["reason"]


def test_in_haste_the_diameter_of_other_parameters_is_taken_and_said_so(opened, demo_file):
    told = []
    for contrast, haste in ((4, False), (6.5, True), (6.5, False), (6.5, True)):
        draft = draft_of(opened, demo_file, segmentation={"method": "bright", "contrast": contrast})
        draft |= {"channels": {"segment": 2, "fl": [1]}}
        told.append(found(opened, "outlines", demo_file, draft, t=1, in_haste=haste))
    first, rough, exact, again = told
    assert [each["is_rough"] for each in told] == [False, True, False, False]
    assert rough["cell_diameter"] == first["cell_diameter"]
    labels = [picture(opened, each["number"], "labels") for each in told]
    np.testing.assert_array_equal(labels[2], labels[3])
    assert exact["counts"] == again["counts"]


def test_what_is_beside_a_calibration_does_not_change_it(demo_frames):
    for name in ("instances", "bright", "dark"):
        method = find_segmentation(name)
        plain = method.create(method.parameters(), 0).prepare(demo_frames)
        values = {"grow_by": 4.0, "min_diameter": 12.0, "max_diameter": 30.0}
        assert method.beside_calibration
        for parameter in method.beside_calibration:
            other = method.parameters(**{parameter: values[parameter]})
            assert method.create(other, 0).prepare(demo_frames) == plain
    assert isinstance(plain, Calibration)


@pytest.fixture(scope="module")
def demo_frames(demo_file):
    with load_microscopy_file(demo_file)[0] as source:
        return [source.read_frame(0, 1, t)[:128, :128] for t in (0, 2, 3)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": {"segmentation": {"method": "instances", "cell_diameter": 2}}}, "6 to 2000"),
        ({"steps": {"segmentation": {"method": "log-std", "square_size": 8}}}, "odd"),
        ({"steps": {"segmentation": {"method": "cellpose"}}}, "weights: needed, and not given"),
        ({"channels": {"fl": [1]}}, "no channel was chosen"),
        ({"fov": 9}, "9"),
        ({"t": 4}, "frame 4: expected 0 to 3"),
    ],
)
def test_what_is_wrong_is_said_in_words(opened, demo_file, change, words):
    draft = draft_of(opened, demo_file)
    asks = {name: change[name] for name in ("fov", "t") if name in change}
    draft |= {name: value for name, value in change.items() if name not in asks}
    told = tried(opened, "outlines", demo_file, draft, **asks)
    assert told["found"] is None
    assert words in told["problem"]


def test_a_frame_that_is_all_cell_has_no_background(opened, root):
    image = np.random.default_rng(1).integers(100, 900, (1, 2, 64, 64), np.uint16)
    path = write_movie(root / "full.ome.tif", [image], ["Phase", "GFP"], 5)
    draft = draft_of(
        opened, path, segmentation={"method": "log-std", "n_sigma": 0.0, "square_size": 1}
    )
    draft |= {"channels": {"pc": 0, "fl": [1]}}
    draft["steps"]["correction"] = {"dilation_size": 1001}
    told = tried(opened, "background", path, draft, channel=1)
    assert "shows no background" in told["problem"]


@pytest.mark.slow
def test_a_process_that_dies_is_told_of_and_replaced(opened, demo_file):
    draft = draft_of(opened, demo_file)
    before = found(opened, "outlines", demo_file, draft, t=2)
    tuner = opened.desk.tuner
    killer = threading.Thread(target=lambda: (time.sleep(0.3), os.kill(pid[0], signal.SIGKILL)))
    pid = [tuner.ask("x", Haste.OUTLINES, os.getpid)]
    assert pid[0] != os.getpid()
    killer.start()
    with pytest.raises(TrialDiedError, match="ended in the middle"):
        tuner.ask("x", Haste.OUTLINES, time.sleep, 20)
    killer.join()
    after = found(opened, "outlines", demo_file, draft, t=2)
    assert after["number"] != before["number"]
    assert after["counts"] == before["counts"]


def test_a_process_of_which_nothing_is_asked_ends_and_the_next_one_finds_the_same(
    opened, demo_file
):
    draft = draft_of(opened, demo_file)
    before = found(opened, "outlines", demo_file, draft, t=1)
    tuner = opened.desk.tuner
    pid = tuner.ask("x", Haste.OUTLINES, os.getpid)
    tuner.end_if_idle()
    assert psutil.pid_exists(pid)
    tuner.end_if_idle(0.0)
    assert not psutil.pid_exists(pid)
    tuner.end_if_idle(0.0)  # there is none
    after = found(opened, "outlines", demo_file, draft, t=1)
    assert {**after, "number": 0, "seconds": 0} == {**before, "number": 0, "seconds": 0}
    assert tuner.ask("x", Haste.OUTLINES, os.getpid) != pid


def test_a_process_that_is_at_work_or_waited_for_is_never_idle():
    tuner, began = Tuner(), threading.Event()
    tuner.ask("a", Haste.OUTLINES, time.sleep, 0)
    answers = []

    def ask():
        began.set()
        answers.append(tuner.ask("a", Haste.OUTLINES, os.getpid))

    asking = threading.Thread(target=ask)
    try:
        asking.start()
        began.wait()
        while asking.is_alive():
            tuner.end_if_idle(0.0)
        asking.join()
        assert len(answers) == 1
    finally:
        tuner.close()


def test_masks_that_change_are_read_anew_and_others_are_not(opened, demo_file, root):
    path = root / "masks.npy"
    labels = np.zeros((4, 192, 192), np.uint16)
    labels[:, 10:30, 10:30] = 1
    np.save(path, labels)
    draft = draft_of(opened, demo_file, segmentation={"method": "files", "path": str(path)})
    assert found(opened, "outlines", demo_file, draft)["count"] == 1
    labels[:, 50:70, 10:30] = 2
    np.save(path, labels)
    assert found(opened, "outlines", demo_file, draft)["count"] == 2
    path.unlink()
    assert "masks.npy" in tried(opened, "outlines", demo_file, draft)["problem"]


def test_weights_are_saved_as_they_were_set(opened, demo_file, root):
    (root / "Modell für Zellen.bin").write_bytes(b"weights")
    chosen = {"method": "cellpose", "weights": str(root / "Modell für Zellen.bin")}
    draft, out = draft_of(opened, demo_file, segmentation=chosen), root / "with weights"
    answer = opened.post("/api/draft/save", at=str(demo_file), out=str(out), draft=draft)
    assert answer.status == 200, answer.json
    kept = opened.get("/api/draft", at=str(demo_file), out=str(out)).json["draft"]
    assert kept["steps"]["segmentation"] == chosen


def test_what_a_method_needs_is_said_before_it_is_tried(monkeypatch):
    for package in ("cellcast", "bioimageio"):
        monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, "instanseg", types.ModuleType("instanseg"))
    sys.modules["instanseg"].__spec__ = ModuleSpec("instanseg", None)
    known = {each.name: each.problem for each in known_methods().segmentation}
    for method in ("stardist", "bioimageio"):
        assert f'pip install "pyama-core[{method}]"' in known[method]
    assert known["instances"] == known["files"] == known["instanseg"] == ""


def test_only_the_newest_of_a_page_is_done_and_outlines_come_before_tracks(tmp_path):
    tuner, ends = Tuner(), {}

    def ask(name, page, haste, seconds):
        try:
            tuner.ask(page, haste, time.sleep, seconds)
            ends[name] = time.monotonic()
        except StaleError as error:
            ends[name] = str(error)

    def start(*arguments):
        thread = threading.Thread(target=ask, args=arguments)
        thread.start()
        time.sleep(0.1)
        return thread

    try:
        tuner.ask("a", Haste.OUTLINES, time.sleep, 0)  # it has started
        threads = [
            start("first", "a", Haste.OUTLINES, 1.0),
            start("tracks", "a", Haste.TRACKING, 0.1),
            start("old", "a", Haste.OUTLINES, 0.1),
            start("other page", "b", Haste.OUTLINES, 0.1),
            start("new", "a", Haste.OUTLINES, 0.1),
        ]
        for thread in threads:
            thread.join(20)
    finally:
        tuner.close()
    assert "newer" in ends.pop("old")
    assert sorted(ends, key=ends.__getitem__) == ["first", "other page", "new", "tracks"]
    with pytest.raises(StaleError):
        tuner.ask("a", Haste.OUTLINES, time.sleep, 0)


def test_old_readings_make_room():
    readings = Readings(most=3000)
    numbers = [readings.keep({"labels": np.zeros(1000, np.uint8)}) for _ in range(3)]
    readings.get(numbers[0])
    readings.keep({"labels": np.zeros(1000, np.uint8)})
    assert "labels" in readings.get(numbers[0])
    with pytest.raises(InputError, match="not kept any more"):
        readings.get(numbers[1])


def test_controls_are_what_the_models_say():
    known = {each.name: each for each in known_methods().segmentation}
    assert {"auto", "instances", "bright", "cellpose"} <= known.keys()
    controls = {each.name: each for each in known["bright"].controls}
    contrast, diameter = controls["contrast"], controls["cell_diameter"]
    assert (contrast.kind, contrast.default, contrast.low, contrast.high) == (
        "number",
        3.5,
        0,
        1000,
    )
    assert not contrast.is_low_allowed
    assert (diameter.kind, diameter.auto, diameter.takes_text, diameter.unit) == (
        "number",
        True,
        True,
        "px",
    )
    assert controls["min_diameter"].empty
    assert "noise" in contrast.description
    lineage = {each.name: each for each in known_methods().tracking[1].controls}
    assert (lineage["divisions"].kind, lineage["divisions"].default) == ("flag", True)
    edges = {each.name: each for each in known_methods().correction[0].controls}["edges"]
    assert edges.choices == ("constant", "linear", "auto")
