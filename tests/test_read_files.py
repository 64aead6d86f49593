"""Results follow the content of every file that was read for them, wherever it lies."""

from __future__ import annotations

import json
import os
import shutil
import sys
import types
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from inline import run_inline
from movies import metadata_of, rough_squares, write_movie
from pyama_core.io import read_files
from pyama_core.io.checksums import identify_source
from pyama_core.io.read_files import ReadFiles, doubt_everything, files_below
from pyama_core.processing.extraction.selection import select_features
from pyama_core.processing.method_files import with_absolute_paths
from pyama_core.processing.parameters import MethodParameters
from pyama_core.processing.segmentation.cellpose import CellposeParameters
from pyama_core.processing.segmentation.from_files import segmenter as from_files
from pyama_core.processing.segmentation.from_files.method import MaskFileParameters
from pyama_core.processing.tracking import tracker
from pyama_core.processing.tracking.iou.method import tracking_method
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext
from pyama_core.processing.workflow.status import describe_folder, find_changed_files
from runs import data_files, inodes
from sources import CORNERS, N_FOVS, N_FRAMES, SIZE, write_ome_tiff

pytestmark = pytest.mark.usefixtures("workers_inline")


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    """Metadata of 2 positions of 5 frames of 64×64."""
    return metadata_of(write_ome_tiff(tmp_path_factory.mktemp("movie")))


def labels(n_cells: int = 2) -> np.ndarray:
    stack = np.zeros((N_FRAMES, SIZE, SIZE), np.uint16)
    for cell, (y, x) in enumerate(CORNERS[:n_cells], start=1):
        stack[:, y : y + 20, x : x + 20] = cell
    return stack


def write_masks(root: Path, layout: str, n_cells: int = 2) -> str:
    """Write masks of all positions; return the path that leads to them."""
    for fov in range(N_FOVS):
        stack = labels(n_cells)
        if layout == "stack":
            root.mkdir(exist_ok=True)
            np.save(root / f"masks_{fov}.npy", stack)
            continue
        folder = root / f"fov_{fov}"
        folder.mkdir(parents=True, exist_ok=True)
        for t, frame in enumerate(stack):
            np.save(folder / f"mask_{t:02d}.npy", frame)
    names = {"stack": "masks_{fov}.npy", "folder": "fov_{fov}"}
    return str(root / names.get(layout, "fov_{fov}/mask_{frame:02d}.npy"))


def request(out: Path, path: str, **params: Any) -> ProcessingContext:
    segmentation = {"method": "files", "path": path}
    params = {"segmentation": segmentation, "tracking": {"method": "iou"}, **params}
    return ProcessingContext(output_dir=out, channels=Channels(pc=0, fl=[1]), params=params)


def statuses(outcome) -> list[str]:
    return [str(found.status) for _, found in sorted(outcome.fovs.items())]


def n_cells(out: Path, fov: int = 0) -> int:
    (table,) = (out / f"fov_{fov:03d}").glob("*_tracks.csv")
    return len(table.read_text(encoding="utf-8").splitlines()) - 1


def touch_all(root: Path) -> None:
    for path in root.rglob("*.npy"):
        os.utime(path, (1_000_000_000, 1_000_000_000))


LAYOUTS = ["stack", "folder", "pattern"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_corrected_masks_make_everything_after_them_anew(movie, tmp_path, layout):
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    path = write_masks(tmp_path / "masks", layout)
    assert run_inline(movie, request(out, path)).ok
    assert n_cells(out) == 2
    write_masks(tmp_path / "masks", layout, n_cells=1)
    assert statuses(run_inline(movie, request(out, path))) == ["done", "done"]
    assert n_cells(out) == 1
    assert run_inline(movie, request(fresh, path)).ok
    assert data_files(out) == data_files(fresh)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_of_touched_masks_the_content_decides_once(movie, tmp_path, layout, monkeypatch):
    out, hashed = tmp_path / "out", []
    path = write_masks(tmp_path / "masks", layout)
    assert run_inline(movie, request(out, path)).ok
    touch_all(tmp_path / "masks")
    assert statuses(run_inline(movie, request(out, path))) == ["skipped", "skipped"]
    doubt_everything()  # as in another process
    monkeypatch.setattr(read_files, "file_checksum", lambda file, _: hashed.append(file))
    assert statuses(run_inline(movie, request(out, path))) == ["skipped", "skipped"]
    assert hashed == []


def test_masks_of_one_position_concern_that_position_only(movie, tmp_path):
    out, path = tmp_path / "out", write_masks(tmp_path / "masks", "stack")
    assert run_inline(movie, request(out, path)).ok
    np.save(path.format(fov=1), labels(1))
    assert statuses(run_inline(movie, request(out, path))) == ["skipped", "done"]
    assert (n_cells(out, 0), n_cells(out, 1)) == (2, 1)


def test_masks_in_another_folder_or_layout_are_the_same_if_their_content_is(movie, tmp_path):
    out, path = tmp_path / "out", write_masks(tmp_path / "masks", "pattern")
    assert run_inline(movie, request(out, path)).ok
    shutil.move(tmp_path / "masks", tmp_path / "moved")
    moved = request(out, str(tmp_path / "moved" / Path(path).relative_to(tmp_path / "masks")))
    assert statuses(run_inline(movie, moved)) == ["skipped", "skipped"]
    assert describe_folder(out)["fovs"]["0"]["status"] == "done"
    before = inodes(out, "*_fl_corrected_*.npy")
    stack = request(out, write_masks(tmp_path / "masks", "stack"))
    assert statuses(run_inline(movie, stack)) == ["done", "done"]
    assert inodes(out, "*_fl_corrected_*.npy") == before


def test_a_relative_path_is_that_of_the_folder_it_was_said_in(movie, tmp_path, monkeypatch):
    out, before = tmp_path / "out", {}
    for folder, n in (("a", 2), ("b", 1), ("c", 1)):
        write_masks(tmp_path / folder, "stack", n)
        monkeypatch.chdir(tmp_path / folder)
        outcome = run_inline(movie, request(out, "masks_{fov}.npy"))
        assert statuses(outcome) == ["skipped" if folder == "c" else "done"] * 2
        assert n_cells(out) == n
    (record,) = (out / "fov_000").glob("*_record.json")
    params = json.loads(record.read_text(encoding="utf-8"))["settings"]["params"]
    assert params["segmentation"]["path"] == str(tmp_path / "c" / "masks_{fov}.npy")
    monkeypatch.chdir(tmp_path)
    assert describe_folder(out)["fovs"]["0"]["status"] == "done"
    assert before == {}


def test_check_finds_a_change_that_keeps_size_time_and_samples(tmp_path):
    positions = [rough_squares(4, 600, ((100, 100),))]
    movie = metadata_of(write_movie(tmp_path / "m.ome.tif", positions, ["phase", "GFP"], 2.0))
    out, masks = tmp_path / "out", tmp_path / "masks.npy"
    stack = np.zeros((4, 600, 600), np.uint16)
    stack[:, 100:128, 100:128] = 1
    np.save(masks, stack)
    assert run_inline(movie, request(out, str(masks))).ok
    status, known = masks.stat(), identify_source([masks])
    for row in range(400, 600):
        stack[2, row, 300] = 2
        np.save(masks, stack)
        os.utime(masks, ns=(status.st_atime_ns, status.st_mtime_ns))
        if identify_source([masks]).is_same(known):
            break
        stack[2, row, 300] = 0
    else:
        raise AssertionError("every row is sampled")
    assert statuses(run_inline(movie, request(out, str(masks)))) == ["skipped"]
    assert statuses(run_inline(movie, request(out, str(masks)), check=True)) == ["done"]
    assert n_cells(out) == 2
    assert statuses(run_inline(movie, request(out, str(masks)), check=True)) == ["skipped"]


@pytest.mark.parametrize("lost", [0, 1])
def test_masks_that_are_not_there_are_named_before_anything_is_written(movie, tmp_path, lost):
    out, path = tmp_path / "out", write_masks(tmp_path / "masks", "stack")
    Path(path.format(fov=lost)).unlink()
    outcome = run_inline(movie, request(out, path))
    assert outcome.exit_code == 2
    assert f"FOV {lost}, segmentation" in (outcome.refusal or "")
    assert path.format(fov=lost) in (outcome.refusal or "")
    assert not out.exists()


def test_masks_that_change_while_they_are_read_do_not_count(movie, tmp_path, monkeypatch):
    out, path = tmp_path / "out", write_masks(tmp_path / "masks", "stack")
    read = from_files.MaskFileSegmenter.segment_at

    def segment_at(self, t, frame):
        if (self.fov, t) == (1, N_FRAMES - 1):
            np.save(path.format(fov=1), labels(1))
        return read(self, t, frame)

    monkeypatch.setattr(from_files.MaskFileSegmenter, "segment_at", segment_at)
    outcome = run_inline(movie, request(out, path), fovs=[0, 1])
    assert statuses(outcome) == ["done", "failed"]
    assert "masks_1.npy: changed while they were read" in (outcome.fovs[1].error or "")
    assert not list((out / "fov_001").glob("*_seg_ch_0.npy"))


def test_results_of_before_files_were_recorded_are_compared_by_making_masks_again(movie, tmp_path):
    out, path = tmp_path / "out", write_masks(tmp_path / "masks", "stack")
    assert run_inline(movie, request(out, path)).ok
    before, later = data_files(out), inodes(out, "*_[ft]*_ch_1.*") | inodes(out, "*_tracks.csv")
    for record in out.rglob("*_record.json"):
        content = json.loads(record.read_text(encoding="utf-8"))
        for entry in content["outputs"].values():
            del entry["read"]
            entry["provenance"]["inputs"].pop("files path", None)
        record.write_text(json.dumps(content), encoding="utf-8")
    assert run_inline(movie, request(out, path)).ok
    assert data_files(out) == before
    assert inodes(out, "*_[ft]*_ch_1.*") | inodes(out, "*_tracks.csv") == later
    assert statuses(run_inline(movie, request(out, path))) == ["skipped", "skipped"]


# What is told of them


def test_status_and_verification_say_that_masks_are_others_now(movie, tmp_path):
    out, path = tmp_path / "out", write_masks(tmp_path / "masks", "folder")
    assert run_inline(movie, request(out, path)).ok
    assert find_changed_files(out) == ({}, {})
    np.save(tmp_path / "masks" / "fov_1" / "mask_03.npy", labels(1)[3])
    doubt_everything()
    first, second = (describe_folder(out)["fovs"][fov] for fov in ("0", "1"))
    assert (first["status"], second["status"]) == ("done", "missing")
    assert second["steps"] == {
        "copying": "done",
        "segmentation": "outdated",
        "correction": "outdated",
        "tracking": "outdated",
        "nuclei": "not asked for",
        "extraction": "outdated",
    }
    changed, unknown = find_changed_files(out)
    assert list(changed) == ["fov_001/movie_fov_001_seg_ch_0.npy"]
    assert (
        "mask_00.npy and 4 more files are not what it was made of" in changed[next(iter(changed))]
    )
    assert unknown == {}


def test_touched_masks_are_not_called_others(movie, tmp_path):
    out, path = tmp_path / "out", write_masks(tmp_path / "masks", "stack")
    assert run_inline(movie, request(out, path)).ok
    touch_all(tmp_path / "masks")
    assert describe_folder(out)["fovs"]["0"]["status"] == "done"
    assert find_changed_files(out) == ({}, {})


def test_masks_that_are_gone_leave_results_done_and_that_is_said(movie, tmp_path):
    out, path = tmp_path / "out", write_masks(tmp_path / "masks", "stack")
    assert run_inline(movie, request(out, path)).ok
    shutil.rmtree(tmp_path / "masks")
    described = describe_folder(out)["fovs"]["0"]
    assert described["status"] == "done"
    assert "masks_0.npy" in next(iter(described["unknown_files"].values()))
    changed, unknown = find_changed_files(out)
    assert (changed, len(unknown)) == ({}, 2)


# Weights, models, and methods of others


def test_other_weights_make_segmentation_anew_and_the_same_elsewhere_do_not(
    movie, tmp_path, monkeypatch
):
    made = []

    class Model:
        def __init__(self, gpu: bool, pretrained_model: str) -> None:
            made.append(pretrained_model)

        def eval(self, x, /, **_):
            return (x > np.median(x) + 100).astype(np.uint8), [], []

    stand_in = types.SimpleNamespace(CellposeModel=Model)
    monkeypatch.setitem(sys.modules, "cellpose", types.ModuleType("cellpose"))
    monkeypatch.setitem(sys.modules, "cellpose.models", stand_in)
    out, weights, moved = tmp_path / "out", tmp_path / "weights", tmp_path / "moved"

    def run(path: Path) -> list[str]:
        parameters = {"method": "cellpose", "weights": str(path)}
        return statuses(run_inline(movie, request(out, "", segmentation=parameters), fovs=[0]))

    weights.write_bytes(b"one")
    assert run(weights) == ["done"]
    weights.replace(moved)
    assert run(moved) == ["skipped"]
    moved.write_bytes(b"two")
    assert run(moved) == ["done"]
    assert len(made) == 2


class PathyParameters(MethodParameters):
    method: Literal["pathy"] = "pathy"
    model: Path


def pathy_tracking():
    """Describe a tracking whose parameters lead to a folder."""
    method = tracking_method()
    return tracker.TrackingMethod(
        PathyParameters, "pathy/1", lambda _, dtype: method.create(method.parameters(), dtype)
    )


def test_a_folder_that_a_parameter_of_any_method_leads_to_is_part_of_what_is_made(
    movie, tmp_path, monkeypatch
):
    monkeypatch.setitem(tracker._BUILT_IN, "pathy", f"{__name__}:pathy_tracking")
    out, path = tmp_path / "out", write_masks(tmp_path / "masks", "stack")
    model = tmp_path / "model"
    tracking = {"method": "pathy", "model": str(model)}

    def run() -> list[str]:
        return statuses(run_inline(movie, request(out, path, tracking=tracking), fovs=[0]))

    outcome = run_inline(movie, request(out, path, tracking=tracking), fovs=[0])
    assert (outcome.exit_code, str(model) in str(outcome.refusal)) == (2, True)
    (model / "deep").mkdir(parents=True)
    (model / "deep" / "weights").write_bytes(b"one")
    assert run() == ["done"]
    assert run() == ["skipped"]
    (model / "deep" / "weights").write_bytes(b"two")
    assert describe_folder(out)["fovs"]["0"]["steps"]["tracking"] == "outdated"
    assert run() == ["done"]
    (model / "more").write_bytes(b"three")
    assert run() == ["done"]
    (model / ".hidden").write_bytes(b"nothing")
    assert run() == ["skipped"]


# Code of one's own


@pytest.fixture
def own_code(tmp_path, monkeypatch) -> Path:
    """Return a folder that modules are imported from, as in a session of Python."""
    folder = tmp_path / "code"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two files of the same size and second
    select_features.cache_clear()
    yield folder
    select_features.cache_clear()
    for name in ("my_cells", "my_numbers", "my_package", "my_package.deep"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("first", "second", "file"),
    [
        ("from my_numbers import N", "", "my_numbers.py"),
        ("import my_numbers", "N = my_numbers.N", "my_numbers.py"),
        ("from my_package.deep import N", "", "my_package/deep.py"),
        ("from my_package import N", "", "my_package/deep.py"),
        ("N = 0", "    from my_numbers import N", "my_numbers.py"),
    ],
    ids=["name", "module", "package", "through a package", "when it is called"],
)
def test_code_that_a_feature_imports_from_its_own_folder_is_part_of_it(
    movie, tmp_path, own_code, first, second, file
):
    out, path = tmp_path / "out", write_masks(tmp_path / "masks", "stack")
    inside = second if second.startswith(" ") else ""
    outside = "" if inside else second
    (own_code / "my_package").mkdir()
    (own_code / "my_package" / "__init__.py").write_text("from .deep import N\n")
    (own_code / "my_package" / "deep.py").write_text("N = 2\n")
    (own_code / "my_numbers.py").write_text("N = 2\n")
    source = f"{first}\n{outside}\ndef own(image, mask):\n{inside}\n    return N * mask.sum()\n"
    (own_code / "my_cells.py").write_text(source)
    features = {"extraction": {"features": ["my_cells:own"]}}

    def run() -> tuple[list[str], str]:
        outcome = run_inline(movie, request(out, path, **features), fovs=[0])
        (table,) = (out / "fov_000").glob("*_traces_ch_1.csv")
        header, row, *_ = (line.split(",") for line in table.read_text().splitlines())
        return statuses(outcome), row[header.index("own")]

    assert run() == (["done"], "800.0")
    assert run() == (["skipped"], "800.0")
    (own_code / file).write_text("N = 3\n")
    assert run() == (["done"], "1200.0")
    (own_code / "unrelated.py").write_text("N = 4\n")
    assert run() == (["skipped"], "1200.0")


# Paths


def test_paths_among_parameters_are_made_absolute_and_only_they(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    found = with_absolute_paths(CellposeParameters(weights="models/w"))
    assert found.weights == tmp_path / "models" / "w"
    assert with_absolute_paths(found, Path("/elsewhere")) == found
    masks = with_absolute_paths(MaskFileParameters(path="m_{fov}.tif"), tmp_path / "a{b}")
    assert Path(masks.path.format(fov=3)) == tmp_path / "a{b}" / "m_3.tif"
    home = with_absolute_paths(MaskFileParameters(path="~/m.tif"))
    assert Path(home.path) == tmp_path / "home" / "m.tif"


def test_files_are_known_by_what_they_are_and_hold_not_by_their_place(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")
    first = ReadFiles.look_at({"0": tmp_path / "a", "1": tmp_path / "b"})
    swapped = ReadFiles.look_at({"1": tmp_path / "a", "0": tmp_path / "b"})
    assert first.checksum() != swapped.checksum()
    shutil.copytree(tmp_path, tmp_path.parent / "copy")
    copy = tmp_path.parent / "copy"
    assert ReadFiles.look_at({"0": copy / "a", "1": copy / "b"}).checksum() == first.checksum()


def test_a_folder_with_far_too_many_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(read_files, "_MOST_FILES", 3)
    for name in "abcd":
        (tmp_path / name).touch()
    with pytest.raises(read_files.InputError, match="expected up to 3 files"):
        files_below(tmp_path)
