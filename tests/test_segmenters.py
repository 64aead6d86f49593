"""Segmentations by other programs, and how a segmentation is found by its name."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pyama_core.errors import InputError
from pyama_core.processing.segmentation.cellpose import CellposeParameters, CellposeSegmenter
from pyama_core.processing.segmentation.from_files.method import MaskFileParameters
from pyama_core.processing.segmentation.from_files.segmenter import MaskFileSegmenter
from pyama_core.processing.segmentation.instances.method import InstanceParameters
from pyama_core.processing.segmentation.instances.segmenter import InstanceSegmenter
from pyama_core.processing.segmentation.log_std.method import LogStdParameters
from pyama_core.processing.segmentation.log_std.segmenter import LogStdSegmenter
from pyama_core.processing.segmentation.segmenter import (
    SegmentsByIndex,
    SelfCalibrating,
    find_segmentation,
)

FRAME = np.zeros((6, 9), np.uint16)


def _masks(n: int) -> NDArray[np.uint16]:
    rng = np.random.default_rng(n)
    return rng.integers(0, 500, (n, *FRAME.shape)).astype(np.uint16)


def _write_folder(folder: Path, masks: NDArray[np.uint16], suffix: str) -> None:
    for t, mask in enumerate(masks):
        path = folder / f"mask_{t}{suffix}"
        if suffix == ".png":
            path.write_bytes(cv2.imencode(".png", mask)[1].tobytes())
        elif suffix == ".npy":
            np.save(path, mask)
        else:
            tifffile.imwrite(path, mask)


def _reader(path: Path | str, fov: int = 0) -> MaskFileSegmenter:
    return MaskFileSegmenter(MaskFileParameters(path=str(path)), fov)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
def test_images_of_a_folder_are_frames_in_the_order_of_their_numbers(
    tmp_path: Path, suffix: str
) -> None:
    masks = _masks(12)  # mask_10 comes after mask_9
    _write_folder(tmp_path, masks, suffix)
    reader = _reader(tmp_path)
    for t, mask in enumerate(masks):
        np.testing.assert_array_equal(reader.segment_at(t, FRAME), mask)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
def test_a_pattern_names_one_image_per_frame_and_field_of_view(tmp_path: Path, suffix: str) -> None:
    masks = _masks(3)
    (tmp_path / "fov_007").mkdir()
    _write_folder(tmp_path / "fov_007", masks, suffix)
    reader = _reader(tmp_path / ("fov_{fov:03d}/mask_{frame}" + suffix), fov=7)
    np.testing.assert_array_equal(reader.segment_at(2, FRAME), masks[2])


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_a_stack_holds_one_image_per_frame(tmp_path: Path, suffix: str) -> None:
    masks = _masks(4)
    path = tmp_path / f"fov_1{suffix}"
    if suffix == ".npy":
        np.save(path, masks)
    else:
        tifffile.imwrite(path, masks, photometric="minisblack")
    reader = _reader(tmp_path / ("fov_{fov}" + suffix), fov=1)
    for t in (3, 0, 2):
        np.testing.assert_array_equal(reader.segment_at(t, FRAME), masks[t])
    with pytest.raises(InputError, match="found 4 and none for frame 4"):
        reader.segment_at(4, FRAME)


def test_masks_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "wide.npy", np.zeros((2, 6, 10), np.uint8))
    np.save(tmp_path / "float.npy", np.zeros((2, 6, 9)))
    np.save(tmp_path / "object.npy", np.array([{}]), allow_pickle=True)
    (tmp_path / "text.tif").write_text("not an image")
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "mask.bmp").write_text("not an image")
    for name, message in [
        ("wide.npy", r"shape \(6, 9\) for frame 0 .* found \(6, 10\)"),
        ("float.npy", "float64"),
        ("object.npy", "cannot read"),
        ("text.tif", "cannot read"),
        ("text.png", "PNG"),
        ("mask.bmp", "convert"),
        ("absent.tif", "no such file"),
        ("{cell}.tif", "{fov} and {frame}"),
        ("{frame", "brace"),
    ]:
        with pytest.raises(InputError, match=message):
            _reader(tmp_path / name).segment_at(0, FRAME)


def test_a_folder_with_too_few_images_names_the_frame(tmp_path: Path) -> None:
    _write_folder(tmp_path, _masks(2), ".npy")
    with pytest.raises(InputError, match="2 images and none for frame 2"):
        _reader(tmp_path).segment_at(2, FRAME)


class StandIn:
    """A model that labels what is bright, and remembers how it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[NDArray[Any], dict[str, Any]]] = []

    def eval(self, x: NDArray[Any], /, **options: Any) -> tuple[Any, ...]:
        self.asked.append((x, options))
        return (np.atleast_3d(x.T).T[0] > 0).astype(np.uint16), [], []


def _weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights"
    path.write_bytes(b"")
    return path


def test_cellpose_sees_the_frame_and_the_parameters() -> None:
    model = StandIn()
    parameters = CellposeParameters(weights=Path("weights"), cell_diameter=30, flow_threshold=0.7)
    frame = FRAME.copy()
    frame[2:4, 3:5] = 7
    labels = CellposeSegmenter(parameters, model).segment(frame)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, frame > 0)
    image, options = model.asked[0]
    np.testing.assert_array_equal(image, frame)
    assert options == {"diameter": 30, "flow_threshold": 0.7, "cellprob_threshold": 0.0}


def test_cellpose_sees_the_nuclear_channel_beside_the_frame() -> None:
    model = StandIn()
    segment = CellposeSegmenter(CellposeParameters(weights=Path("weights")), model).segment
    segment(FRAME, FRAME + np.uint16(1))
    image, options = model.asked[0]
    assert image.shape == (2, 6, 9)
    assert (image[1] == 1).all()
    assert options["channel_axis"] == 0


def test_labels_of_another_shape_from_cellpose_are_refused() -> None:
    class Wrong(StandIn):
        def eval(self, x: NDArray[Any], /, **options: Any) -> tuple[Any, ...]:
            return (np.zeros((3, 3), np.uint16),)

    parameters = CellposeParameters(weights=Path("weights"))
    with pytest.raises(InputError, match=r"\(6, 9\) from Cellpose, found \(3, 3\)"):
        CellposeSegmenter(parameters, Wrong()).segment(FRAME)


def test_absent_weights_and_an_absent_cellpose_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="no such file"):
        CellposeSegmenter(CellposeParameters(weights=tmp_path / "absent")).segment(FRAME)
    monkeypatch.setitem(sys.modules, "cellpose", None)
    with pytest.raises(InputError, match=r"pip install pyama-core\[cellpose\]"):
        CellposeSegmenter(CellposeParameters(weights=_weights(tmp_path))).segment(FRAME)


def test_the_cellpose_model_is_loaded_once_from_the_named_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[dict[str, Any]] = []

    def load(**options: Any) -> StandIn:
        loaded.append(options)
        return StandIn()

    models = ModuleType("cellpose.models")
    monkeypatch.setattr(models, "CellposeModel", load, raising=False)
    monkeypatch.setitem(sys.modules, "cellpose", ModuleType("cellpose"))
    monkeypatch.setitem(sys.modules, "cellpose.models", models)
    weights = _weights(tmp_path)
    cellpose = CellposeSegmenter(CellposeParameters(weights=weights))
    cellpose.segment(FRAME)
    cellpose.segment(FRAME)
    assert loaded == [{"gpu": False, "pretrained_model": str(weights)}]


def test_methods_make_the_segmenters_of_their_parameters() -> None:
    exact = find_segmentation("log-std").create(LogStdParameters(n_sigma=2), 0)
    assert isinstance(exact, LogStdSegmenter)
    assert exact.parameters.n_sigma == 2
    instances = find_segmentation("instances").create(InstanceParameters(cell_diameter=20), 0)
    assert isinstance(instances, InstanceSegmenter)
    assert isinstance(instances, SelfCalibrating)
    assert instances.cell_diameter == 20
    files = find_segmentation("files").create(MaskFileParameters(path="fov_{fov}.tif"), 3)
    assert isinstance(files, SegmentsByIndex)
    assert isinstance(files, MaskFileSegmenter)
    assert files.path_of(0) == Path("fov_3.tif")


@given(st.integers(0, 3), st.integers(1, 5))
def test_a_mask_is_the_same_whatever_was_read_before(t: int, n: int) -> None:
    reader = MaskFileSegmenter(MaskFileParameters(path="m_{frame}.npy"))
    assert [reader.path_of(t).name for _ in range(n)] == [f"m_{t}.npy"] * n
