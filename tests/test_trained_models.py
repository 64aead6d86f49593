"""Segmentations by trained models, tried with stand-ins: packages and weights may be absent."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from pyama_core.errors import InputError
from pyama_core.processing.frame import as_frame
from pyama_core.processing.segmentation.cellpose import CellposeParameters, CellposeSegmenter
from pyama_core.processing.segmentation.instanseg import InstanSegParameters, InstanSegSegmenter
from pyama_core.processing.segmentation.segmenter import find_segmentation
from pyama_core.processing.segmentation.stardist import StarDistParameters, StarDistSegmenter

FRAME = np.zeros((6, 9), np.uint16)
FRAME[2:4, 3:5] = 7
METHODS = {
    "stardist": (StarDistSegmenter, StarDistParameters),
    "instanseg": (InstanSegSegmenter, InstanSegParameters),
}
each_method = pytest.mark.parametrize("method", METHODS)


class PanicException(BaseException):
    """What a package that is no Python raises."""


class StandIn:
    """A model that labels what is bright, and remembers how it was asked."""

    pixel_size, cells_and_nuclei = 0.5, False

    def __init__(self, found: Any = None) -> None:
        self.asked: list[tuple[Any, dict[str, Any]]] = []
        self.found = found

    def predict_fluo(self, image: Any, /, **options: Any) -> Any:
        self.asked.append((image, options))
        return (image > 0).astype(np.uint16) if self.found is None else self.found

    def eval_small_image(self, image: Any, /, **options: Any) -> Any:
        found = self.predict_fluo(image, **options)
        labels = found[None].astype(np.float32) if self.found is None else found
        return SimpleNamespace(cpu=lambda: SimpleNamespace(numpy=lambda: labels))


def segmenter_of(method: str, weights: Path = Path("weights"), model: Any = None, **options: Any):
    segmenter, parameters = METHODS[method]
    return segmenter(parameters(weights=weights, **options), model)


def installed(monkeypatch: pytest.MonkeyPatch, load) -> None:
    """Put stand-ins for both packages in place."""
    models = ModuleType("cellcast.models")
    models.StarDist2D = SimpleNamespace(init_fluo=load)
    torch, instanseg = ModuleType("torch"), ModuleType("instanseg")
    torch.jit = SimpleNamespace(load=lambda path, map_location: load(path, map_location))
    instanseg.InstanSeg = lambda network, device, verbosity: network
    packages = {
        "cellcast": ModuleType("cellcast"),
        "cellcast.models": models,
        "torch": torch,
        "instanseg": instanseg,
    }
    for name, module in packages.items():
        monkeypatch.setitem(sys.modules, name, module)


@each_method
def test_the_model_labels_a_frame_as_the_pipeline_hands_it_over(method):
    model = StandIn()
    labels = segmenter_of(method, model=model).segment(as_frame(FRAME))
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, FRAME > 0)
    image, _ = model.asked[0]
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image.squeeze(), FRAME)


def test_the_models_are_told_the_parameters():
    model = StandIn()
    segmenter_of("stardist", model=model, prob_threshold=0.7).segment(FRAME)
    assert model.asked[0][1] == {"prob_threshold": 0.7, "nms_threshold": 0.3}
    segmenter_of("instanseg", model=model, target="nuclei", pixel_size=0.5).segment(FRAME)
    options = {"pixel_size": 0.5, "target": "nuclei", "return_image_tensor": False}
    assert model.asked[1][1] == options
    assert model.asked[1][0].flags.writeable


def test_a_frame_of_one_grey_value_has_no_object_by_stardist():
    model = StandIn()
    assert not segmenter_of("stardist", model=model).segment(np.full((4, 5), 9, np.uint16)).any()
    assert model.asked == []


@each_method
@pytest.mark.parametrize("found", [np.zeros((3, 3), np.uint16), np.full((6, 9), 0.5)])
def test_what_is_no_label_image_of_the_frame_is_refused(method, found):
    with pytest.raises(InputError, match="label image"):
        segmenter_of(method, model=StandIn(found)).segment(FRAME)


@each_method
def test_absent_weights_are_said_with_how_to_get_them(method, tmp_path):
    with pytest.raises(InputError, match=r"no such file; .* name .* as weights") as raised:
        segmenter_of(method, tmp_path / "absent").segment(FRAME)
    assert "\n" not in str(raised.value)
    with pytest.raises(ValidationError, match="weights"):
        METHODS[method][1]()


@each_method
def test_an_absent_package_is_said_with_how_to_install_it(method, tmp_path, monkeypatch):
    for name in ("cellcast", "cellcast.models", "instanseg", "torch"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "weights").write_bytes(b"")
    with pytest.raises(InputError, match=rf"pip install pyama-core\[{method}\]"):
        segmenter_of(method, tmp_path / "weights").segment(FRAME)


@each_method
def test_the_model_is_loaded_once_from_the_named_file(method, tmp_path, monkeypatch):
    loaded: list[str] = []

    def load(path: str, *_: Any) -> StandIn:
        loaded.append(path)
        return StandIn()

    installed(monkeypatch, load)
    (tmp_path / "weights").write_bytes(b"")
    segmenter = segmenter_of(method, tmp_path / "weights")
    segmenter.segment(FRAME)
    segmenter.segment(FRAME)
    assert loaded == [str(tmp_path / "weights")]


@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("stardist", PanicException("InvalidMagicNumber")),
        ("stardist", ValueError("bad")),
        ("instanseg", RuntimeError("not a ZIP archive\nat ...")),
    ],
)
def test_damaged_weights_are_an_error_of_one_line(method, error, tmp_path, monkeypatch):
    def fail(*_: Any) -> None:
        raise error

    installed(monkeypatch, fail)
    (tmp_path / "weights").write_bytes(b"junk")
    with pytest.raises(InputError, match="found something else") as raised:
        segmenter_of(method, tmp_path / "weights").segment(FRAME)
    assert "\n" not in str(raised.value)


def test_a_model_of_torchscript_that_is_none_of_instanseg_is_refused(tmp_path, monkeypatch):
    installed(monkeypatch, lambda *_: SimpleNamespace(pixel_size=0.5))
    (tmp_path / "weights").write_bytes(b"")
    with pytest.raises(InputError, match="found another model of TorchScript; download"):
        segmenter_of("instanseg", tmp_path / "weights").segment(FRAME)


def test_weights_that_the_installed_cellpose_cannot_load_are_an_error_of_one_line(
    tmp_path, monkeypatch
):
    def fail(**_: Any) -> None:
        raise KeyError("W2\nat ...")

    models = ModuleType("cellpose.models")
    models.CellposeModel = fail
    monkeypatch.setitem(sys.modules, "cellpose", ModuleType("cellpose"))
    monkeypatch.setitem(sys.modules, "cellpose.models", models)
    (tmp_path / "weights").write_bytes(b"")
    with pytest.raises(InputError, match=r"installed Cellpose cannot load .*W2") as raised:
        CellposeSegmenter(CellposeParameters(weights=tmp_path / "weights")).segment(FRAME)
    assert "\n" not in str(raised.value)


def test_packages_that_do_not_go_together_are_said_with_what_they_say(tmp_path, monkeypatch):
    class Broken:
        def find_spec(self, name: str, *_: Any) -> None:
            if name == "instanseg":
                raise RuntimeError("operator nms does not exist\nat ...")

    monkeypatch.delitem(sys.modules, "instanseg", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    (tmp_path / "weights").write_bytes(b"")
    with pytest.raises(InputError, match=r"imported \(operator nms does not exist\); install"):
        segmenter_of("instanseg", tmp_path / "weights").segment(FRAME)


SEGMENT_BY_A_TINY_MODEL = """
from pathlib import Path
import numpy as np, torch
from pyama_core.processing.segmentation.instanseg import InstanSegParameters, InstanSegSegmenter


class Tiny(torch.nn.Module):
    pixel_size: float
    cells_and_nuclei: bool

    def __init__(self):
        super().__init__()
        self.pixel_size, self.cells_and_nuclei = 0.5, True
        self.w = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor, target_segmentation: torch.Tensor):
        found = (x.mean(1, keepdim=True) > 0.5).to(torch.float32)
        return found if int(target_segmentation[0]) == 0 else 2 * found


torch.jit.script(Tiny().eval()).save("tiny.pt")
frame = np.zeros((40, 50), np.uint16)
frame[8:20, 10:30] = 500
for target, number in (("cells", 1), ("nuclei", 2)):
    for pixel_size in (None, 0.25):
        parameters = InstanSegParameters(
            weights=Path("tiny.pt"), target=target, pixel_size=pixel_size
        )
        found = InstanSegSegmenter(parameters).segment(frame)
        assert (found == number * (frame > 0)).all(), (target, pixel_size)
"""


def test_a_tiny_model_of_the_real_instanseg_segments(tmp_path):
    for package in ("torch", "instanseg"):  # not imported here, for that takes long
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    (tmp_path / "tiny.py").write_text(SEGMENT_BY_A_TINY_MODEL, encoding="utf-8")  # read by torch
    subprocess.run([sys.executable, "tiny.py"], cwd=tmp_path, check=True)


def test_an_interrupt_while_weights_are_loaded_stays_one(tmp_path, monkeypatch):
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    installed(monkeypatch, interrupt)
    (tmp_path / "weights").write_bytes(b"")
    with pytest.raises(KeyboardInterrupt):
        segmenter_of("stardist", tmp_path / "weights").segment(FRAME)


@each_method
def test_the_methods_are_found_by_name_without_their_packages(method, tmp_path):
    known = find_segmentation(method)
    parameters = known.parameters(weights=tmp_path / "weights", grow_by="5 um")
    assert isinstance(known.create(parameters, 0), METHODS[method][0])
    assert known.algorithm == f"{method}/1"
