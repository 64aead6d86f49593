"""Compare segmentations with the truth and write the table and pictures of `docs/ACCURACY.md`.

Run `python -m benchmarks.accuracy` in the repository. The real images are those of
`../shared/data`; rows whose images are absent are left out, with a note.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy_metrics import f1, nucleus_centres, score_frame, score_nuclei, seg
from benchmarks.accuracy_pictures import write_pictures
from benchmarks.accuracy_tracking import write_tables
from pyama_core.demo.movie import Movie
from pyama_core.demo.parameters import DemoParameters
from pyama_core.processing.runs.objects import components
from pyama_core.processing.segmentation.instances.segmenter import InstanceSegmenter
from pyama_core.processing.segmentation.log_std.segmenter import LogStdSegmenter

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = REPOSITORY.parent / "shared" / "data"
BEGIN, END = "<!-- segmentation: begin -->", "<!-- segmentation: end -->"
logger = logging.getLogger("benchmarks.accuracy")

Image = NDArray[Any]
Segment = Callable[[Image], Image]


@dataclass(frozen=True)
class Movies:
    """The images of one data set: phase contrast, and per frame its truth or its nuclei."""

    name: str
    frames: list[Image]
    truth: list[Image]
    nuclei: list[Image]


def load_t98g() -> Movies:
    """Load glioma cells in phase contrast with semi-automatic labels."""
    import cv2
    import tifffile

    folder = DATA / "t98g"
    frames = [tifffile.imread(path) for path in sorted((folder / "raw").glob("*.tif"))]
    masks = sorted((folder / "masks").glob("*.png"))
    truth = [np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)) for path in masks]
    return Movies("t98g", frames, truth, [])


def load_trpl() -> Movies:
    """Load bacteria in phase contrast with labels."""
    import tifffile

    frames, masks = (
        tifffile.imread(DATA / "trpl" / f"trpL_150310-11_{what}.tif") for what in ("img", "mask")
    )
    return Movies("trpl", list(frames), list(masks), [])


def load_incucyte() -> Movies:
    """Load adherent cells in phase contrast, with a nuclear channel."""
    import tifffile

    channels = (
        [tifffile.imread(path) for path in sorted((DATA / "incucyte").glob(f"*_{c}_*.tif"))]
        for c in "PR"
    )
    frames, nuclei = channels
    return Movies("incucyte", frames, [], nuclei)


def load_demo() -> Movies:
    """Make the standard demo: one field of view, 512×512, every sixth of 40 frames."""
    movie = Movie(DemoParameters(fovs=1, frames=40, size=512, seed=0), 0)
    frames = [frame for frame in movie.frames() if frame.index % 6 == 0]
    return Movies("demo", [f.planes[0] for f in frames], [f.labels for f in frames], [])


def exact(frame: Image) -> Image:
    """Label the 4-connected components that the log-STD segmentation finds."""
    from pyama_core.processing.runs.pixel_runs import paint

    runs, n = components(LogStdSegmenter().segment(frame))
    labels = np.zeros(frame.shape, np.int32)
    paint(runs, np.arange(1, n + 1, dtype=np.int32), labels)
    return labels


def prepared(frames: Sequence[Image]) -> InstanceSegmenter:
    """Return the segmenter with its defaults, prepared by the first, middle and last frame."""
    segmenter = InstanceSegmenter()
    segmenter.prepare([frames[0], frames[len(frames) // 2], frames[-1]])
    return segmenter


def measure_truth(movies: Movies) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a data set with labels."""
    segmenter = prepared(movies.frames)
    both = [
        [score_frame(t, segment(f)) for f, t in zip(movies.frames, movies.truth, strict=True)]
        for segment in (exact, segmenter.segment)
    ]
    what = f"{movies.name}: {len(movies.frames)} frames"
    counts = (f"{sum(s.n_found for s in scores)}" for scores in both)
    yield f"{what}, cells found (true: {sum(s.n_true for s in both[0])})", *counts
    yield f"{what}, F1 at IoU 0.5", *(f"{f1(scores):.2f}" for scores in both)
    yield f"{what}, SEG", *(f"{seg(scores):.2f}" for scores in both)
    yield f"{what}, diameter", "", f"{segmenter.cell_diameter:.0f} px"


def measure_nuclei(movies: Movies) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a data set with nuclei."""
    segmenter = prepared(movies.frames)
    pairs = list(zip(movies.frames, movies.nuclei, strict=True))
    found = {
        "exact": [exact(f) for f, _ in pairs],
        "without": [segmenter.segment(f) for f, _ in pairs],
        "with": [segmenter.segment(f, n) for f, n in pairs],
    }
    centres = [nucleus_centres(nuclei) for nuclei in movies.nuclei]
    one, several, covered = {}, {}, {}
    for method, labels in found.items():
        scores = [score_nuclei(c, image) for c, image in zip(centres, labels, strict=True)]
        n_objects = sum(s.n_objects for s in scores)
        one[method] = f"{sum(s.n_with_one for s in scores) / n_objects:.2f}"
        several[method] = f"{sum(s.n_with_several for s in scores) / n_objects:.2f}"
        covered[method] = (
            f"{sum(s.n_covered for s in scores) / sum(s.n_nuclei for s in scores):.2f}"
        )
    for what, values in (
        ("objects with exactly one nucleus", one),
        ("objects with several nuclei", several),
        ("nuclei covered", covered),
    ):
        for method, note in (("without", "without nuclei"), ("with", "with nuclei")):
            name = f"{movies.name}: {len(pairs)} frames, {what}, {note}"
            yield name, values["exact"], values[method]
    yield f"{movies.name}: diameter", "", f"{segmenter.cell_diameter:.0f} px"


def measure_cost(movies: Movies) -> tuple[str, ...]:
    """Return a row with the median processor time per frame, the frame tiled to about 2048×2048."""
    frame = movies.frames[0]
    repeats = [max(1, round(2048 / n)) for n in frame.shape]
    tiled = np.tile(frame, repeats)
    segmenter = prepared(movies.frames)
    log_std = LogStdSegmenter()
    times: dict[str, list[float]] = {"exact": [], "new": []}
    for _ in range(8):
        for name, segment in (("exact", log_std.segment), ("new", segmenter.segment)):
            started = time.process_time()
            segment(tiled)
            times[name].append(time.process_time() - started)
    exact_s, new_s = (statistics.median(seconds[1:]) for seconds in times.values())
    size = "×".join(map(str, tiled.shape))
    name = f"{movies.name}: cost of a frame of {size}, relative"
    return name, "1", f"{new_s / exact_s:.1f}"


def measure_all() -> tuple[list[tuple[str, ...]], dict[str, Movies]]:
    """Measure what there are images of."""
    rows: list[tuple[str, ...]] = []
    loaded: dict[str, Movies] = {}
    for load in (load_t98g, load_trpl, load_incucyte, load_demo):
        try:
            movies = load()
            loaded[movies.name] = movies
        except FileNotFoundError as error:
            logger.warning("left out, as its images are absent: %s", error)
            continue
        rows += measure_truth(movies) if movies.truth else measure_nuclei(movies)
        rows.append(measure_cost(movies))
        logger.info("measured %s", movies.name)
    return rows, loaded


def as_table(rows: Sequence[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = ["| | log-std | instances |", "|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)


def main() -> None:
    """Measure, replace the tables in the report, draw the pictures."""
    import cv2

    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--output", type=Path, default=REPOSITORY / "docs", metavar="DIR")
    output: Path = parser.parse_args().output
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cv2.setNumThreads(1)  # as in a worker
    rows, loaded = measure_all()
    report = output / "ACCURACY.md"
    text = report.read_text(encoding="utf-8") if report.exists() else f"{BEGIN}\n{END}\n"
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    text = f"{before}{BEGIN}\n{as_table(rows)}\n{END}{after}"
    report.write_text(text, encoding="utf-8", newline="\n")
    logger.info("wrote %s", report)
    for name, movies in loaded.items():
        if name != "demo":
            segmenter = prepared(movies.frames)
            write_pictures(output, name, movies.frames[len(movies.frames) // 2], exact, segmenter)
    write_tables(report)


if __name__ == "__main__":
    main()
