"""Cells that do not divide, followed from frame to frame to where the nearest one is."""

from typing import Literal

import numpy as np
from pydantic import Field
from scipy.spatial import KDTree

from pyama_core.processing.parameters import MethodParameters
from pyama_core.processing.tracking.graph_tracker import GraphTracker
from pyama_core.processing.tracking.tracker import TrackingMethod


class NearestParameters(MethodParameters):
    """What can stand in the configuration."""

    method: Literal["nearest"] = Field("nearest", description="name of the tracking")
    reach: float = Field(20.0, gt=0, description="a cell goes so far in one frame, pixels")


class Nearest:
    """Sees the objects of all frames, then says which becomes which."""

    def __init__(self, parameters):
        self.parameters = parameters
        self.positions = []

    def see(self, objects, labels, frame, image):
        """Take note of the next frame."""
        self.positions.append(objects.position)

    def edges(self):
        """Link objects that are each other's nearest: ((frame, object), (frame, object))."""
        for t in range(1, len(self.positions)):
            before, now = self.positions[t - 1], self.positions[t]
            if len(before) and len(now):
                distance, after = KDTree(now).query(before)
                _, back = KDTree(before).query(now)
                mutual = back[after] == np.arange(len(before))
                for i in np.flatnonzero(mutual & (distance <= self.parameters.reach)):
                    yield (t - 1, int(i)), (t, int(after[i]))


def create(parameters, dtype):
    """Make the tracker of a field of view."""
    return GraphTracker(Nearest(parameters), dtype)


tracking_method = TrackingMethod(NearestParameters, "nearest/1", create)
