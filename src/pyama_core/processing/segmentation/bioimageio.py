"""Segmentation by models in the form of the BioImage Model Zoo, from packages on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pyama_core.errors import InputError
from pyama_core.io.paths import GivenPath
from pyama_core.processing.frame import as_frame
from pyama_core.processing.segmentation.growth import GrowthParameters
from pyama_core.processing.segmentation.model_files import (
    checked_labels,
    import_package,
    require_model,
)
from pyama_core.processing.segmentation.segmenter import SegmentationMethod

ALGORITHM = "bioimageio/1"

_HOW = (
    "download the package (.zip) of a model from bioimage.io and name that file as model; it must "
    "work in two dimensions, of one channel."
)


class BioimageioParameters(GrowthParameters):
    """Parameters of the segmentation by a model of the BioImage Model Zoo."""

    method: Literal["bioimageio"] = Field("bioimageio", description="name of the segmentation")
    model: GivenPath = Field(description="package of the model (.zip) on this machine")
    output: str | None = Field(
        None, description="which output of the model is taken; empty: the first"
    )
    channel: int = Field(0, ge=0, description="which channel of that output is taken, from 0")
    threshold: float = Field(
        0.5,
        allow_inf_nan=False,
        description="where an output of fractions exceeds it is cell, and each connected part is "
        "one; outputs of whole numbers of which more than one occurs are labels",
    )


def segmentation_method() -> SegmentationMethod:
    """Describe the method."""
    return SegmentationMethod(
        BioimageioParameters,
        ALGORITHM,
        lambda parameters, _fov: BioimageioSegmenter(parameters),
        needs="bioimageio.core",
    )


class Axis(Protocol):
    """An axis of what a model takes; `size` has `min`, `max` and `step`, which may be None."""

    id: str
    size: Any


class Network(Protocol):
    """A model as it is used here."""

    axes: Sequence[Axis]

    def predict(self, image: NDArray[np.float32], /) -> Mapping[str, Any]:
        """Return outputs by name, as arrays with names of their axes (`dims`)."""


class BioimageioSegmenter:
    """Segment frames by a model that is loaded at the first of them.

    Parameters
    ----------
    parameters
        The package of the model must be named: nothing is downloaded.
    network
        A model to use instead of the one in the package.
    """

    def __init__(self, parameters: BioimageioParameters, network: Network | None = None) -> None:
        self.parameters = parameters
        self._network = network

    def segment(self, frame: NDArray[Any], nuclei: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the (Y, X) labels or mask that the model finds; `nuclei` is not looked at.

        Raises
        ------
        InputError
            If the frame is none, the package or the model are missing or cannot be used, or the
            model returns something that is no image of the shape of the frame.
        """
        image = as_frame(frame, "frame")
        if self._network is None:
            self._network = _Loaded.of(self.parameters)
        outputs = self._network.predict(_arranged(image, self._network.axes))
        found = self._taken(outputs)[: image.shape[0], : image.shape[1]]
        if found.dtype.kind == "f" and not _are_labels(found):
            if found.shape != image.shape:
                raise InputError(
                    f"Expected an output of shape {image.shape} from the model, found "
                    f"{found.shape}; {_HOW}"
                )
            return np.asarray(found > self.parameters.threshold)
        labels = checked_labels(found, image.shape, "the model")
        return labels if labels.max() > 1 else labels > 0

    def _taken(self, outputs: Mapping[str, Any]) -> NDArray[Any]:
        """Return the wanted channel of the wanted output, (Y, X)."""
        name = self.parameters.output or next(iter(outputs), "")
        if name not in outputs:
            raise InputError(
                f"output: expected one of {', '.join(outputs) or 'none'}, found {name!r}"
            )
        array = outputs[name]
        values = np.asarray(array.data)
        for place, axis in reversed(list(enumerate(map(str, array.dims)))):
            if axis in ("y", "x"):
                continue
            chosen = self.parameters.channel if axis in ("channel", "c") else 0
            if chosen >= values.shape[place]:
                raise InputError(
                    f"channel: expected less than {values.shape[place]} of the output {name}, "
                    f"found {chosen}"
                )
            values = np.take(values, chosen, axis=place)
        order = [str(axis) for axis in array.dims if axis in ("y", "x")]
        return values if order == ["y", "x"] else values.T


def _are_labels(found: NDArray[Any]) -> bool:
    """Whether an image of floats has whole numbers from 0, beyond those of a mask."""
    return bool(np.array_equal(found, np.rint(found)) and found.min() >= 0 and found.max() > 1)


def _arranged(image: NDArray[Any], axes: Sequence[Axis]) -> NDArray[np.float32]:
    """Return a frame with the axes and the size that a model takes, mirrored where it is larger."""
    names = [str(axis.id) for axis in axes]
    if not {"y", "x"} <= set(names):
        raise InputError(f"Expected a model of images in y and x, found {names}; {_HOW}")
    more: dict[str, int] = {}
    for axis, name in zip(axes, names, strict=True):
        least, most, step = axis.size.min, axis.size.max, axis.size.step or 1
        if name not in ("y", "x"):
            if least > 1:
                raise InputError(f"Expected a model of one {name}, found {least}; {_HOW}")
            continue
        n = image.shape["yx".index(name)]
        wanted = least + max(0, -(-(n - least) // step)) * step
        if most is not None and n > most:
            raise InputError(
                f"Expected a model of images of any size, found one of at most {most} pixels "
                f"along {name}, and frames of {n}; {_HOW}"
            )
        more[name] = (wanted if most is None else min(wanted, most)) - n
    padded = np.pad(image, ((0, more["y"]), (0, more["x"])), mode="symmetric")
    whole = padded if names.index("y") < names.index("x") else padded.T
    shape = iter(whole.shape)
    sizes = [next(shape) if name in ("y", "x") else 1 for name in names]
    return np.ascontiguousarray(whole.reshape(sizes), np.float32)


class _Loaded:
    """A model of a package, ready for work as long as this lives."""

    def __init__(self, description: Any, digest: Any, pipeline: Any) -> None:
        self._description = description
        self._digest = digest
        self._pipeline = pipeline
        self.axes: Sequence[Axis] = digest.get_axes_infos(description.inputs[0])

    @classmethod
    def of(cls, parameters: BioimageioParameters) -> Self:
        """Load the model of a package."""
        path = parameters.model
        # Asked first: for a name of no file the package would look on the network.
        require_model(path, "the package of a model", _HOW)
        core = import_package("bioimageio.core", "bioimageio.core", "bioimageio")
        digest = import_package("bioimageio.core.digest_spec", "bioimageio.core", "bioimageio")
        try:
            description = core.load_model_description(path, perform_io_checks=False)
            pipeline = core.create_prediction_pipeline(description)
            pipeline.load()
        except Exception as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            reason = " ".join(lines[:2]) or type(error).__name__
            raise InputError(
                f"Expected the package of a model in {path} that can be used here, found that it "
                f"cannot ({reason}); {_HOW}"
            ) from error
        if len(description.inputs) != 1:
            raise InputError(f"Expected a model of one image, found {path} of several; {_HOW}")
        return cls(description, digest, pipeline)

    def predict(self, image: NDArray[np.float32], /) -> Mapping[str, Any]:
        """Return the outputs for an image with all axes of the model."""
        sample = self._digest.create_sample_for_model(
            self._description, inputs=image, sample_id="frame"
        )
        found = self._pipeline.predict_sample_without_blocking(sample)
        return {str(name): tensor.data for name, tensor in found.members.items()}
