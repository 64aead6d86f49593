"""Segmentation by packages of models, with a stand-in, and with a tiny model where that can run."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pyama_core.errors import InputError
from pyama_core.processing.segmentation.bioimageio import BioimageioParameters, BioimageioSegmenter
from pyama_core.processing.segmentation.segmenter import find_segmentation

FRAME = np.zeros((20, 35), np.uint16)
FRAME[3:9, 4:9] = 7
FRAME[14:18, 28:35] = 9


@dataclass
class Output:
    data: Any
    dims: tuple[str, ...]


def axis(name: str, least: int = 1, most: int | None = None, step: int | None = None) -> Any:
    return SimpleNamespace(id=name, size=SimpleNamespace(min=least, max=most, step=step))


class StandIn:
    """A model that hands on what `see` makes of the image."""

    def __init__(self, axes, see, dims=("batch", "channel", "y", "x")) -> None:
        self.axes, self.see, self.dims = axes, see, dims
        self.shapes: list[tuple[int, ...]] = []

    def predict(self, image: Any, /) -> dict[str, Output]:
        self.shapes.append(image.shape)
        assert image.dtype == np.float32
        return {"first": Output(self.see(image), self.dims), "second": Output(image, self.dims)}


AXES = [axis("batch"), axis("channel"), axis("y", 16, None, 16), axis("x", 16, None, 16)]


def segment(network: Any = None, model: Path = Path("model.zip"), **options: Any) -> Any:
    parameters = BioimageioParameters(model=model, **options)
    return BioimageioSegmenter(parameters, network).segment(FRAME)


def test_frames_are_brought_to_a_size_that_the_model_takes_and_back():
    network = StandIn(AXES, lambda image: (image > 5).astype(np.float32))
    np.testing.assert_array_equal(segment(network), FRAME > 5)
    assert network.shapes == [(1, 1, 32, 48)]


def test_axes_may_stand_in_any_order():
    axes = [axis("x"), axis("y"), axis("channel")]
    network = StandIn(axes, lambda image: image > 5, ("x", "y", "channel"))
    np.testing.assert_array_equal(segment(network), FRAME > 5)
    assert network.shapes == [(35, 20, 1)]


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_whole_numbers_are_labels_and_fractions_are_thresholded(dtype):
    labels = StandIn(AXES, lambda image: image.astype(dtype))
    np.testing.assert_array_equal(segment(labels), FRAME)
    chances = StandIn(AXES, lambda image: image / np.float32(10))
    np.testing.assert_array_equal(segment(chances, threshold=0.8), FRAME > 8)


def test_an_output_and_a_channel_of_it_can_be_chosen():
    network = StandIn(AXES, lambda image: np.concatenate([image * 0, image / 10], axis=1))
    assert not segment(network).any()
    assert segment(network, channel=1).sum() == (FRAME > 5).sum()
    np.testing.assert_array_equal(segment(network, output="second"), FRAME)
    with pytest.raises(InputError, match="output: expected one of first, second"):
        segment(network, output="third")
    with pytest.raises(InputError, match="channel: expected less than 2"):
        segment(network, channel=2)


@pytest.mark.parametrize(
    ("axes", "told"),
    [
        ([axis("z"), axis("channel")], "images in y and x"),
        ([axis("channel", 3, 3), axis("y"), axis("x")], "one channel, found 3"),
        ([axis("channel"), axis("y", 16, 16), axis("x", 16, 16)], "at most 16 pixels"),
    ],
)
def test_models_of_other_images_are_refused(axes, told):
    with pytest.raises(InputError, match=told):
        segment(StandIn(axes, lambda image: image))


def test_an_output_of_another_scale_is_refused():
    network = StandIn(AXES, lambda image: image[:, :, ::4, ::4] / 10)
    with pytest.raises(InputError, match=r"shape \(20, 35\) from the model, found \(8, 12\)"):
        segment(network)


def test_an_absent_model_and_an_absent_package_are_said(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"no such file; download the package") as raised:
        segment(model=tmp_path / "absent.zip")
    assert "\n" not in str(raised.value)
    (tmp_path / "model.zip").write_bytes(b"")
    for name in ("bioimageio", "bioimageio.core"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=r"pip install pyama-core\[bioimageio\]"):
        segment(model=tmp_path / "model.zip")


def test_a_package_that_is_none_is_an_error_of_one_line(tmp_path, monkeypatch):
    def fail(path: Path, **_: Any) -> None:
        raise ValueError("Invalid model description:\n\nname: too short\nmore")

    core, digest = ModuleType("bioimageio.core"), ModuleType("bioimageio.core.digest_spec")
    core.load_model_description = fail
    modules = {
        "bioimageio": ModuleType("bioimageio"),
        "bioimageio.core": core,
        "bioimageio.core.digest_spec": digest,
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    (tmp_path / "model.zip").write_bytes(b"junk")
    with pytest.raises(InputError, match="description: name: too short") as raised:
        segment(model=tmp_path / "model.zip")
    assert "\n" not in str(raised.value)


def test_the_method_is_found_by_name_without_its_package(tmp_path):
    known = find_segmentation("bioimageio")
    parameters = known.parameters(model=tmp_path / "model.zip", grow_by=3)
    assert isinstance(known.create(parameters, 0), BioimageioSegmenter)


DESCRIPTION = """\
format_version: 0.5.4
type: model
name: tiny model
description: tells what is brighter than 5
authors: [{name: A}]
cite: [{text: none, doi: 10.1000/xyz123}]
license: MIT
documentation: doc.md
timestamp: 2024-01-01T00:00:00
inputs:
- id: raw
  axes:
  - {type: batch}
  - {type: channel, channel_names: [c]}
  - {type: space, id: y, size: {min: 16, step: 16}}
  - {type: space, id: x, size: {min: 16, step: 16}}
  test_tensor: {source: in.npy}
  data: {type: float32}
outputs:
- id: mask
  axes:
  - {type: batch}
  - {type: channel, channel_names: [c]}
  - {type: space, id: y, size: {tensor_id: raw, axis_id: y}}
  - {type: space, id: x, size: {tensor_id: raw, axis_id: x}}
  test_tensor: {source: out.npy}
  data: {type: float32}
weights:
  onnx: {source: weights.onnx, opset_version: 13}
"""


SEGMENT_IT = """
import numpy as np
from pyama_core.processing.segmentation.bioimageio import BioimageioParameters, BioimageioSegmenter
segmenter = BioimageioSegmenter(BioimageioParameters(model="model.zip"))
found = [segmenter.segment(np.load("frame.npy")) for _ in range(2)]
assert (found[0] == found[1]).all()
np.save("found.npy", found[0])
"""


def test_a_tiny_model_of_the_real_package_segments(tmp_path):
    for package in ("onnxruntime", "bioimageio"):  # not imported here, for they open files
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    onnx = pytest.importorskip("onnx")
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    ends = [helper.make_tensor_value_info(n, number, ["b", 1, "h", "w"]) for n in ("x", "y")]
    nodes = [
        helper.make_node("Greater", ["x", "c"], ["m"]),
        helper.make_node("Cast", ["m"], ["y"], to=number),
    ]
    five = helper.make_tensor("c", number, [], [5.0])
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [five])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (tmp_path / "weights.onnx").write_bytes(model.SerializeToString())
    for name in ("in.npy", "out.npy"):
        np.save(tmp_path / name, np.zeros((1, 1, 16, 16), np.float32))
    (tmp_path / "doc.md").write_text("# Tiny\n## Validation\nnone\n")
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as package:
        package.writestr("rdf.yaml", DESCRIPTION)
        for name in ("weights.onnx", "in.npy", "out.npy", "doc.md"):
            package.write(tmp_path / name, name)
    np.save(tmp_path / "frame.npy", FRAME)
    # In a process of its own: what runs the model keeps files of its own open until that ends.
    subprocess.run([sys.executable, "-c", SEGMENT_IT], cwd=tmp_path, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "found.npy"), FRAME > 5)
