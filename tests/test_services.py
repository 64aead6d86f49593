from __future__ import annotations

import dataclasses
import logging
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movies import metadata_of, rough_squares, write_movie
from pyama_core.errors import (
    CancelledError,
    DamagedFileError,
    FolderBusyError,
    InputError,
    StorageError,
)
from pyama_core.io.storage.locks import FolderLock, find_holder
from pyama_core.io.storage.records import load_record
from pyama_core.processing.extraction.selection import select_features
from pyama_core.processing.tracking.iou import method as iou_method
from pyama_core.processing.tracking.iou.method import IoUParameters
from pyama_core.processing.tracking.iou.tracker import IoUTracker
from pyama_core.processing.tracking.tables import read_tracks
from pyama_core.processing.tracking.tracker import TrackingMethod
from pyama_core.processing.workflow.services.copying import CopyingService
from pyama_core.processing.workflow.services.scope import Scope
from pyama_core.processing.workflow.services.steps.correction import CorrectionService
from pyama_core.processing.workflow.services.steps.extraction import ExtractionService
from pyama_core.processing.workflow.services.steps.segmentation import SegmentationService
from pyama_core.processing.workflow.services.steps.tracking import TrackingService
from pyama_core.processing.workflow.services.types import (
    Channels,
    ProcessingContext,
    ResultsPathsPerFOV,
)
from runs import data_files, describe, exact, inodes, new_context, run

SERVICES = (
    CopyingService,
    SegmentationService,
    CorrectionService,
    TrackingService,
    ExtractionService,
)
AFTER_COPYING = SERVICES[1:]
N_FRAMES = 64
SIZE = 128
CORNERS = ((14, 12), (84, 80))


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    """Metadata of 3 FOVs × 64 frames × 128×128, two cells that stay, 2 minutes apart."""
    folder = tmp_path_factory.mktemp("movie")
    positions = [rough_squares(N_FRAMES, SIZE, CORNERS, seed=fov) for fov in range(3)]
    return metadata_of(write_movie(folder / "squares.ome.tif", positions, ["phase", "GFP"], 2.0))


def request(**paths) -> ProcessingContext:
    """A request for channels 0 and 1 that knows hand-made files of FOV 0."""
    context = ProcessingContext(channels=Channels(pc=0, fl=[1]), params=exact())
    if paths:
        context.results_paths = {0: ResultsPathsPerFOV(**paths)}
    return context


def of_shape(movie, shape, times=None, n_fovs=1):
    """Metadata of a movie of another shape, as if the file had it."""
    times = tuple(times) if times is not None else tuple(2.0 * t for t in range(shape[0]))
    return dataclasses.replace(
        movie,
        n_fovs=n_fovs,
        n_frames=shape[0],
        height=shape[1],
        width=shape[2],
        fov_shapes=(shape,) * n_fovs,
        timepoints=(times,) * n_fovs,
    )


def saved(folder: Path, name: str, stack: np.ndarray) -> Path:
    np.save(folder / f"{name}.npy", stack)
    return folder / f"{name}.npy"


def result(context: ProcessingContext, kind: str, fov: int = 0) -> Path:
    """Path of the one file of a kind that a context knows."""
    assert context.results_paths is not None
    known = getattr(context.results_paths[fov], kind)
    ((_, path),) = known if isinstance(known, list) else [known]
    return path


def squares_of_labels(shape, labels, side=4) -> np.ndarray:
    """A label image with one square per label, row after row."""
    image = np.zeros(shape, np.int64)
    per_row = shape[1] // (side + 1)
    for index, label in enumerate(labels):
        y, x = (side + 1) * (index // per_row), (side + 1) * (index % per_row)
        image[y : y + side, x : x + side] = label
    return image


# Each alone


def test_the_services_one_by_one_make_the_bytes_of_a_run(demo, tmp_path):
    context = new_context(tmp_path / "alone")
    for service in SERVICES:
        service().process_all_fovs(describe(demo), context, tmp_path / "alone", 1, 1)
    assert run(demo, tmp_path / "run", fovs=[1]).ok
    assert len(data_files(tmp_path / "run")) == 11
    assert data_files(tmp_path / "alone") == data_files(tmp_path / "run")


@pytest.mark.parametrize(
    ("fov_start", "fov_end", "expected"),
    [
        (None, None, [0, 1, 2]),
        (-1, -1, [0, 1, 2]),
        (1, None, [1, 2]),
        (None, 1, [0, 1]),
        (1, 1, [1]),
        (2, -1, [2]),
    ],
)
def test_a_range_includes_both_ends_and_none_or_minus_one_means_all(
    movie, tmp_path, fov_start, fov_end, expected
):
    context = request()
    CopyingService().process_all_fovs(movie, context, tmp_path, fov_start, fov_end)
    assert [int(path.name[-3:]) for path in sorted(tmp_path.glob("fov_*"))] == expected
    assert sorted(context.results_paths or {}) == expected


@pytest.mark.parametrize("fovs", [(0, 3), (2, 1), (3, 3), (-2, 1), (3, None)])
@pytest.mark.parametrize("service", SERVICES)
def test_a_range_outside_the_file_is_a_value_error_that_names_the_valid_one(
    movie, tmp_path, service, fovs
):
    with pytest.raises(ValueError, match="FOVs 0 to 2"):
        service().process_all_fovs(movie, request(), tmp_path, *fovs)
    assert list(tmp_path.iterdir()) == []


def test_a_context_is_updated_in_place_and_keeps_what_it_knew(movie, tmp_path):
    known = saved(tmp_path, "elsewhere", np.zeros((1, 2, 2), np.uint8))
    context = request(seg=(0, known))
    paths = context.results_paths
    own = paths[0]
    CopyingService().process_fov(movie, context, tmp_path, 0)
    assert context.results_paths is paths
    assert paths[0] is own
    assert own.seg == (0, known)
    assert own.pc == (0, tmp_path / "fov_000" / "squares_fov_000_pc_ch_0.npy")
    assert own.fl == [(1, tmp_path / "fov_000" / "squares_fov_000_fl_ch_1.npy")]


def test_a_context_without_anything_but_channels_is_enough(movie, tmp_path):
    context = ProcessingContext(channels=Channels(pc=np.int64(0), fl=[np.int64(1)]))
    for service in SERVICES:
        service().process_fov(movie, context, str(tmp_path), np.int64(2))
    assert result(context, "traces_csv", 2).is_file()


@pytest.mark.parametrize("service", SERVICES)
def test_progress_is_told_every_30_frames_and_at_the_end(movie, tmp_path, service):
    context = request()
    for earlier in SERVICES[: SERVICES.index(service)]:
        earlier().process_fov(movie, context, tmp_path, 1)
    events = []
    instance = service()
    instance.set_progress_reporter(events.append)
    instance.process_fov(movie, context, tmp_path, 1)
    assert [(event["step"], event["fov"], event["t"], event["T"]) for event in events] == [
        (service.step, 1, t, N_FRAMES) for t in (30, 60, 64)
    ]
    assert all(event["message"] for event in events)


def test_a_service_alone_holds_the_lock_while_it_works_and_gives_it_back(movie, tmp_path):
    holders = []
    service = CopyingService()
    service.set_progress_reporter(lambda event: holders.append(find_holder(tmp_path / "fov_000")))
    service.process_fov(movie, request(), tmp_path, 0)
    assert len(holders) == 3
    assert None not in holders
    assert find_holder(tmp_path / "fov_000") is None
    assert not list((tmp_path / "fov_000").glob(".*"))


def test_a_service_alone_waits_for_nobody_who_holds_the_lock(movie, tmp_path):
    (tmp_path / "fov_000").mkdir()
    lock = FolderLock.acquire(tmp_path / "fov_000")
    with pytest.raises(FolderBusyError, match=r"FOV 0, copying: .* in use by process"):
        CopyingService().process_fov(movie, request(), tmp_path, 0)
    lock.release()
    CopyingService().process_fov(movie, request(), tmp_path, 0)


def test_a_service_that_fails_gives_the_lock_back_and_leaves_nothing(movie, tmp_path):
    with pytest.raises(InputError):
        SegmentationService().process_fov(movie, request(), tmp_path, 0)
    assert [path.name for path in (tmp_path / "fov_000").iterdir()] == [
        "squares_fov_000_record.json"
    ]


def test_a_service_that_is_told_to_stop_stops_before_the_next_frame(movie, tmp_path):
    frames = iter(range(1000))
    service = CopyingService()
    service.scope = Scope(cancelled=lambda: next(frames) == 5)
    with pytest.raises(CancelledError, match="frame 5"):
        service.process_fov(movie, request(), tmp_path, 0)
    assert not list(tmp_path.rglob("*.npy"))
    assert next(frames) == 6


def test_a_step_that_is_done_is_not_done_again(movie, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="pyama_core")
    for service in SERVICES:
        service().process_fov(movie, request(), tmp_path, 0)
    before = inodes(tmp_path, "*_ch_*")
    for service in SERVICES:
        service().process_fov(movie, request(), tmp_path, 0)
        assert f"FOV 0, {service.step}: already done" in caplog.text
    assert inodes(tmp_path, "*_ch_*") == before


# Inputs by hand


def test_hand_made_inputs_in_the_context_need_no_record(movie, tmp_path):
    shape = (4, 40, 40)
    metadata = of_shape(movie, shape)
    seg = np.zeros(shape, np.bool_)
    seg[:, 5:15, 6:12] = True
    context = request(
        seg=(0, saved(tmp_path, "seg", seg)),
        fl=[(1, saved(tmp_path, "fl", np.where(seg, 107, 100).astype(np.uint16)))],
    )
    for service in (CorrectionService, TrackingService, ExtractionService):
        service().process_fov(metadata, context, tmp_path / "out", 0)
    table = pd.read_csv(result(context, "traces_csv"))
    assert table.cell.tolist() == [1, 1, 1, 1]
    assert table.intensity_total.tolist() == [7 * 60] * 4
    assert table.area.tolist() == [60] * 4
    assert table.position_x.tolist() == [8.5] * 4
    assert table.position_y.tolist() == [9.5] * 4
    assert table.fov.tolist() == [0] * 4


def test_a_hand_made_input_that_changes_is_noticed(movie, tmp_path):
    shape = (2, 40, 40)
    seg = np.zeros(shape, np.bool_)
    for n_cells in (1, 2):
        seg[:, 5 : 5 + n_cells * 4, 20 * (n_cells - 1)] = True
        context = request(seg=(0, saved(tmp_path, "seg", seg)))
        TrackingService().process_fov(of_shape(movie, shape), context, tmp_path / "out", 0)
        assert np.load(result(context, "seg_labeled")).max() == n_cells


KINDS = {
    SegmentationService: ("pc",),
    CorrectionService: ("seg", "fl"),
    TrackingService: ("seg",),
    ExtractionService: ("seg_labeled", "fl_corrected"),
}
MAKERS = {
    "pc": "copying",
    "fl": "copying",
    "seg": "segmentation",
    "seg_labeled": "tracking",
    "fl_corrected": "correction",
}
CASES = [(service, kind) for service, kinds in KINDS.items() for kind in kinds]


def inputs_of(service, folder: Path, shape=(3, 40, 40)) -> ProcessingContext:
    """A request with valid hand-made inputs of a service."""
    dtypes = {"seg": np.bool_, "fl_corrected": np.float32}
    paths = {}
    for kind in KINDS[service]:
        pixels = np.random.default_rng(0).integers(0, 2, shape).astype(dtypes.get(kind, np.uint16))
        path = saved(folder, kind, pixels)
        paths[kind] = [(1, path)] if kind.startswith("fl") else (0, path)
    return request(**paths)


@pytest.mark.parametrize(("service", "kind"), CASES)
def test_a_missing_input_names_the_step_to_run_first(movie, tmp_path, service, kind):
    context = inputs_of(service, tmp_path)
    setattr(context.results_paths[0], kind, [] if kind.startswith("fl") else None)
    words = rf"FOV 0, {service.step}: .*{kind}_ch_.* run the step {MAKERS[kind]} for channel"
    with pytest.raises(InputError, match=words):
        service().process_fov(of_shape(movie, (3, 40, 40)), context, tmp_path / "out", 0)


@pytest.mark.parametrize(("service", "kind"), CASES)
def test_an_input_that_was_deleted_is_named(movie, tmp_path, service, kind):
    context = inputs_of(service, tmp_path)
    (tmp_path / f"{kind}.npy").unlink()
    with pytest.raises(InputError, match=rf"FOV 0, {service.step}: cannot read .*{kind}\.npy"):
        service().process_fov(of_shape(movie, (3, 40, 40)), context, tmp_path / "out", 0)


@pytest.mark.parametrize(("service", "kind"), CASES)
@pytest.mark.parametrize("shape", [(2, 40, 40), (4, 40, 40), (3, 41, 40), (3, 40, 39)])
def test_a_stack_of_another_shape_than_the_source_is_refused(movie, tmp_path, service, kind, shape):
    context = inputs_of(service, tmp_path)
    stack = np.load(tmp_path / f"{kind}.npy")
    saved(tmp_path, kind, np.zeros(shape, stack.dtype))
    with pytest.raises(InputError) as caught:
        service().process_fov(of_shape(movie, (3, 40, 40)), context, tmp_path / "out", 0)
    words = str(caught.value)
    assert words.startswith(f"FOV 0, {service.step}: ")
    assert f"{kind}.npy" in words
    assert "(3, 40, 40)" in words
    assert str(shape) in words
    assert not list((tmp_path / "out").rglob("*_ch_*"))


@pytest.mark.parametrize(("service", "kind"), CASES)
def test_a_truncated_or_damaged_input_is_refused(movie, tmp_path, service, kind):
    context = inputs_of(service, tmp_path)
    whole = (tmp_path / f"{kind}.npy").read_bytes()
    for content, words in ((whole[:-1], "is cut off"), (b"PK" + whole[2:], r"not a \.npy stack")):
        (tmp_path / f"{kind}.npy").write_bytes(content)
        with pytest.raises(DamagedFileError, match=rf"FOV 0, {service.step}: .*{kind}.*{words}"):
            service().process_fov(of_shape(movie, (3, 40, 40)), context, tmp_path / "out", 0)
    assert not list((tmp_path / "out").rglob("*_ch_*"))


@pytest.mark.parametrize("channels", [Channels(pc=2, fl=[1]), Channels(pc=0, fl=[1, 5])])
def test_a_channel_that_is_not_there_is_named_with_those_that_are(movie, tmp_path, channels):
    context = ProcessingContext(channels=channels)
    with pytest.raises(InputError, match=r"FOV 1, copying: channel [25] .*phase, GFP"):
        CopyingService().process_fov(movie, context, tmp_path, 1)


def test_a_service_alone_finds_channels_by_name(movie, tmp_path):
    context = ProcessingContext(channels=Channels(pc="PHASE", fl=["GFP"]))
    CopyingService().process_fov(movie, context, tmp_path, 0)
    assert context.channels == Channels(pc=0, fl=[1])
    assert [path.name[-8:] for path in sorted(tmp_path.rglob("*.npy"))] == ["ch_1.npy", "ch_0.npy"]


@pytest.mark.parametrize(
    ("channels", "words"),
    [
        (Channels(pc=1.5, fl=[1]), "expected numbers, from 0 .* or names, found Channels"),
        (Channels(pc=0, fl=[None]), "expected numbers, from 0 .* or names, found Channels"),
        (Channels(pc=True, fl=[1]), "expected numbers, from 0 .* or names, found Channels"),
        (Channels(pc=0, fl=["DAPI"]), r"FOV 0, copying: channels\.fl: there is no channel 'DAPI'"),
    ],
)
def test_channels_that_are_neither_number_nor_name_are_refused(movie, tmp_path, channels, words):
    with pytest.raises(InputError, match=words):
        CopyingService().process_all_fovs(movie, ProcessingContext(channels=channels), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("service", AFTER_COPYING)
def test_without_a_channel_that_shows_cells_every_step_says_so(movie, tmp_path, service):
    context = ProcessingContext(channels=Channels(fl=[1]))
    with pytest.raises(InputError, match=f"FOV 0, {service.step}: no channel .* cells"):
        service().process_fov(movie, context, tmp_path, 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("service", "kind"),
    [
        (SegmentationService, "pc"),
        (CorrectionService, "fl"),
        (ExtractionService, "fl_corrected"),
    ],
)
def test_pixels_that_are_not_finite_are_an_error_that_names_the_frame(
    movie, tmp_path, service, kind, bad
):
    context = inputs_of(service, tmp_path)
    stack = np.ones((3, 40, 40), np.float32)
    stack[2, 7, 9] = bad
    saved(tmp_path, kind, stack)
    with pytest.raises(InputError, match=rf"FOV 0, {service.step}: frame 2: .*row 7, column 9"):
        service().process_fov(of_shape(movie, (3, 40, 40)), context, tmp_path / "out", 0)
    assert not list((tmp_path / "out").rglob("*_ch_*"))


@pytest.mark.parametrize("service", SERVICES)
def test_a_file_in_place_of_the_folder_is_named(movie, tmp_path, service):
    (tmp_path / "fov_000").write_text("in the way")
    with pytest.raises(StorageError, match=rf"FOV 0, {service.step}: cannot make .*fov_000"):
        service().process_fov(movie, request(), tmp_path, 0)
    assert (tmp_path / "fov_000").read_text() == "in the way"


def test_a_source_that_is_gone_is_named(movie, tmp_path):
    gone = dataclasses.replace(movie, companions=(tmp_path / "gone.tif",))
    with pytest.raises(InputError, match=r"FOV 0, copying: cannot read .*gone\.tif"):
        CopyingService().process_fov(gone, request(), tmp_path, 0)


@pytest.mark.parametrize("fov", [-1, 3])
def test_a_fov_that_is_not_there_is_refused(movie, tmp_path, fov):
    with pytest.raises(InputError, match=f"no FOV {fov}"):
        CopyingService().process_fov(movie, request(), tmp_path, fov)
    assert list(tmp_path.iterdir()) == []


# Correction


def source_frame(has_background: list[bool], t: int) -> int | None:
    """Frame whose background frame `t` is given: its own, the last earlier, the first later."""
    earlier = [s for s in range(t + 1) if has_background[s]]
    later = [s for s in range(t + 1, len(has_background)) if has_background[s]]
    return earlier[-1] if earlier else later[0] if later else None


def correct_flat_frames(movie, folder: Path, has_background: list[bool]) -> np.ndarray:
    """Correct frames whose value is 10·(t + 1)², all mask where there is no background."""
    n, shape = len(has_background), (len(has_background), 24, 24)
    values = 10.0 * np.arange(1, n + 1) ** 2
    fl = np.broadcast_to(values[:, None, None], shape).astype(np.uint16)
    seg = np.broadcast_to(~np.array(has_background)[:, None, None], shape)
    context = request(
        seg=(0, saved(folder, "seg", seg)),
        fl=[(1, saved(folder, "fl", fl))],
    )
    CorrectionService().process_fov(of_shape(movie, shape), context, folder / "out", 0)
    return np.load(result(context, "fl_corrected"))


@settings(max_examples=25, deadline=None)
@given(has_background=st.lists(st.booleans(), min_size=1, max_size=6).filter(any))
def test_a_frame_without_background_takes_the_last_earlier_else_the_first_later(
    movie, tmp_path_factory, has_background
):
    corrected = correct_flat_frames(movie, tmp_path_factory.mktemp("flat"), has_background)
    for t, frame in enumerate(corrected):
        source = source_frame(has_background, t)
        assert source is not None
        np.testing.assert_allclose(frame, 10.0 * ((t + 1) ** 2 - (source + 1) ** 2), atol=1e-3)


def test_a_fov_whose_frames_are_all_cell_is_not_corrected_and_named(movie, tmp_path, caplog):
    with pytest.raises(ValueError, match="not enough values"):  # there is no such file
        correct_flat_frames(movie, tmp_path, [False, False, False])
    assert "FOV 0, channel 1: not corrected, no frame shows any background" in caplog.text
    assert not list((tmp_path / "out").rglob("*.npy"))


def test_an_integer_mask_corrects_as_its_bool_twin(movie, tmp_path):
    shape = (2, 40, 40)
    labels = np.stack([squares_of_labels(shape[1:], [3, 900])] * 2)
    fl = np.random.default_rng(0).integers(100, 200, shape).astype(np.uint16)
    corrected = []
    for name, seg in (("bool", labels > 0), ("integer", labels.astype(np.uint16))):
        context = request(seg=(0, saved(tmp_path, name, seg)), fl=[(1, saved(tmp_path, "fl", fl))])
        CorrectionService().process_fov(of_shape(movie, shape), context, tmp_path / name, 0)
        corrected.append(np.load(result(context, "fl_corrected")))
    np.testing.assert_array_equal(*corrected)


# Tracking


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint32, np.int64])
def test_integer_labels_that_do_not_touch_are_tracked_as_their_mask(movie, tmp_path, dtype):
    shape = (3, 30, 30)
    # Other labels in every frame: only the overlap may count.
    labels = np.stack([squares_of_labels(shape[1:], row) for row in ([4, 7], [9, 2], [1, 100])])
    tracked = []
    for name, seg in (("mask", labels > 0), ("labels", labels.astype(dtype))):
        context = request(seg=(0, saved(tmp_path, name, seg)))
        TrackingService().process_fov(of_shape(movie, shape), context, tmp_path / name, 0)
        tracked.append(np.load(result(context, "seg_labeled")))
    np.testing.assert_array_equal(*tracked)
    assert sorted(np.unique(tracked[0])) == [0, 1, 2]
    assert all((frame == tracked[0][0]).all() for frame in tracked[0])


def test_touching_instances_are_tracked_apart(movie, tmp_path):
    labels = np.zeros((2, 20, 20), np.uint16)
    labels[:, :10], labels[:, 10:] = 5, 6
    context = request(seg=(0, saved(tmp_path, "seg", labels)))
    TrackingService().process_fov(of_shape(movie, labels.shape), context, tmp_path / "out", 0)
    np.testing.assert_array_equal(np.load(result(context, "seg_labeled")), labels - 4)


@pytest.mark.parametrize(("n_later", "dtype"), [(65_535 - 300 * 200, "uint16"), (5536, "uint32")])
def test_labels_become_uint32_past_65535_cells(movie, tmp_path, n_later, dtype, caplog):
    caplog.set_level(logging.INFO, logger="pyama_core")
    shape = (2, 200, 600)
    seg = np.zeros(shape, np.uint32)
    seg[0, :, :300] = np.arange(1, 60_001).reshape(200, 300)
    seg[1, :, 300:].flat[:n_later] = np.arange(1, n_later + 1)
    context = request(seg=(0, saved(tmp_path, "seg", seg)))
    TrackingService().process_fov(of_shape(movie, shape), context, tmp_path / "out", 0)
    labels = np.load(result(context, "seg_labeled"))
    assert labels.dtype == dtype
    assert labels.max() == 60_000 + n_later
    assert np.unique(labels).size == 60_000 + n_later + 1
    assert f"{60_000 + n_later} cells tracked" in caplog.text
    record = load_record(tmp_path / "out" / "fov_000" / "squares_fov_000_record.json")
    assert record is not None
    assert record.outputs["squares_fov_000_seg_labeled_ch_0.npy"].dtype == dtype


def track(movie, folder: Path, seg: np.ndarray, **parameters) -> ProcessingContext:
    """Track hand-made masks, of cells that no image shows."""
    dark = saved(folder, "pc", np.zeros(seg.shape, np.uint16))
    context = request(seg=(0, saved(folder, "seg", seg)), pc=(0, dark))
    context.params = exact({"tracking": parameters})
    TrackingService().process_fov(of_shape(movie, seg.shape), context, folder / "out", 0)
    return context


def walking_squares() -> np.ndarray:
    """One that stays, one that leaves to the right, one that is missed once, one that ends."""
    seg = np.zeros((6, 70, 80), np.bool_)
    for t in range(6):
        seg[t, 20:30, 20:30] = True
        seg[t, 40:50, 48 + 7 * t : 58 + 7 * t] = True
        seg[t, 5:11, 60:66] = t != 3
        seg[t, 40:50, 20:30] = t < 4
    return seg


@pytest.mark.parametrize(
    ("method", "rows"),
    [
        (
            "lineage",
            [
                "0,1,,0,5,end of movie,5,0",
                "0,2,,0,5,end of movie,6,0",
                "0,3,,0,3,lost,4,0",
                "0,4,,0,4,left the frame,5,0",
            ],
        ),
        (
            "iou",
            [
                "0,1,,0,2,left the frame,3,0",
                "0,2,,0,5,end of movie,6,0",
                "0,3,,0,3,lost,4,0",
                "0,4,,0,4,left the frame,5,0",
                "0,5,,4,5,end of movie,2,0",
            ],
        ),
    ],
)
def test_a_table_tells_who_every_cell_was_and_what_became_of_it(movie, tmp_path, method, rows):
    context = track(movie, tmp_path, walking_squares(), method=method)
    text = result(context, "tracks_csv").read_text(encoding="utf-8")
    table = [line.split(",") for line in text.splitlines()]
    header = "fov,cell,parent,first_frame,last_frame,fate,n_frames,n_merged"
    assert [",".join(line[:8]) for line in table] == [header, *rows]
    further = [line[8:] for line in table]
    if method == "lineage":
        assert further[0] == [
            *("link_confidence", "link_frame", "unsure_links"),
            *("generation", "fate_probability", "birth_probability", "cycle_frames"),
        ]
        assert all(0 < float(sure) <= 1 and 1 <= int(t) <= 5 for sure, t, *_ in further[1:])
    else:
        assert not any(further)
    record = load_record(tmp_path / "out" / "fov_000" / "squares_fov_000_record.json")
    assert record is not None
    summary = record.outputs["squares_fov_000_tracks.csv"].summary
    assert (summary["cells"], summary["lost"]) == (len(rows), 1)
    with result(context, "tracks_csv").open(encoding="utf-8", newline="") as lines:
        assert [track.cell for track in read_tracks(lines)] == list(range(1, len(rows) + 1))


def test_movements_of_the_stage_are_recorded_by_trackers_that_find_them(movie, tmp_path):
    rng = np.random.default_rng(3)
    seg = np.zeros((4, 120, 120), np.bool_)
    for y, x in rng.integers(20, 90, (12, 2)):
        for t, shift in enumerate((0, 0, 8, 8)):
            seg[t, y + shift : y + shift + 6, x - shift : x - shift + 6] = True
    context = track(movie, tmp_path, seg, method="lineage")
    table = pd.read_csv(result(context, "shifts_csv"))
    assert table.frame.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(table.shift_y, [0, 0, 8, 0], atol=0.5)
    np.testing.assert_allclose(table.shift_x, [0, 0, -8, 0], atol=0.5)
    context = track(movie, tmp_path, seg, method="iou")
    table = pd.read_csv(result(context, "shifts_csv"))
    assert len(table) == 4
    assert table[["shift_x", "shift_y"]].isna().all(axis=None)


def test_a_table_that_is_lost_is_made_again_and_nothing_else(movie, tmp_path):
    context = track(movie, tmp_path, walking_squares())
    paths = [result(context, kind) for kind in ("seg_labeled", "tracks_csv", "shifts_csv")]
    before = {path: (path.read_bytes(), path.stat().st_ino) for path in paths}
    paths[1].unlink()
    track(movie, tmp_path, walking_squares())
    assert paths[1].read_bytes() == before[paths[1]][0]
    for path in (paths[0], paths[2]):
        assert path.stat().st_ino == before[path][1]


class Backwards(IoUTracker):
    """Numbers cells in the order of the last frame, so that it must have seen all."""

    def __init__(self, parameters, dtype):
        super().__init__(parameters, dtype)
        self.previewed = []

    def preview(self, frame, image=None):
        self.previewed.append((frame.sum(), image.mean()))

    def update(self, frame, image=None):
        assert len(self.previewed) == 6
        assert self.previewed[self._n_frames] == (frame.sum(), image.mean())
        return super().update(frame)


def test_a_tracker_that_looks_ahead_sees_all_frames_and_their_images_first(
    movie, tmp_path, monkeypatch
):
    method = TrackingMethod(IoUParameters, "back/1", Backwards, lambda parameters: "phase")
    monkeypatch.setattr(iou_method, "tracking_method", lambda: method)
    seg = walking_squares()
    pc = np.random.default_rng(0).integers(0, 99, seg.shape).astype(np.uint16)
    context = request(seg=(0, saved(tmp_path, "seg", seg)), pc=(0, saved(tmp_path, "pc", pc)))
    context.params = exact()
    events = []
    service = TrackingService()
    service.set_progress_reporter(lambda event: events.append((event["t"], event["T"])))
    service.process_fov(of_shape(movie, seg.shape), context, tmp_path / "out", 0)
    assert events == [(6, 6)]
    assert np.load(result(context, "seg_labeled")).max() == 5


# Extraction


def extract(movie, folder: Path, labels: np.ndarray, times=None, **parameters) -> pd.DataFrame:
    """Extract the traces of hand-made labels over an image of ones."""
    context = request(
        seg_labeled=(0, saved(folder, "labels", labels)),
        fl_corrected=[(1, saved(folder, "fl_corrected", np.ones(labels.shape, np.float32)))],
    )
    context.params = exact({"extraction": parameters})
    metadata = of_shape(movie, labels.shape, times)
    ExtractionService().process_fov(metadata, context, folder / "out", 0)
    return pd.read_csv(result(context, "traces_csv"))


def lives(n_frames: int, lengths: list[int]) -> np.ndarray:
    """Labels of cells 1, 2, … that are there in the first so many frames."""
    frames = [[i + 1 for i, n in enumerate(lengths) if t < n] for t in range(n_frames)]
    return np.stack([squares_of_labels((20, 20), row) for row in frames]).astype(np.uint16)


@pytest.mark.parametrize(
    ("n_frames", "limit"), [(1, 1), (2, 1), (3, 2), (11, 6), (59, 30), (60, 30), (90, 30)]
)
def test_cells_seen_too_seldom_are_marked_and_counted(movie, tmp_path, caplog, n_frames, limit):
    caplog.set_level(logging.INFO, logger="pyama_core")
    table = extract(movie, tmp_path, lives(n_frames, [limit - 1, limit, n_frames]), border=0)
    short = [1] if limit > 1 else []
    assert sorted(table.cell.unique()) == [*short, 2, 3]
    assert sorted(table.cell[~table.good].unique()) == short
    assert (table.reason[~table.good] == "too short").all()
    assert table.reason[table.good].isna().all()
    note = f"FOV 0, channel 1: {2 + len(short)} cells, 2 of them good"
    assert note + (" (1 too short)" if short else "") in caplog.text
    record = load_record(tmp_path / "out" / "fov_000" / "squares_fov_000_record.json")
    assert record is not None
    summary = record.outputs["squares_fov_000_traces_ch_1.csv"].summary
    assert (summary["cells"], summary["good"]) == (2 + len(short), 2)
    assert (summary["too short"], summary["rows"]) == (len(short), len(table))


def test_the_least_number_of_frames_can_be_chosen(movie, tmp_path):
    table = extract(movie, tmp_path, lives(6, [1, 4, 5]), min_frames=5, border=0)
    assert table.cell[table.good].tolist() == [3] * 5
    assert table.cell.tolist() == [1] + [2] * 4 + [3] * 5


FIRST_COLUMNS = "fov,cell,frame,time,good,position_x,position_y,intensity_total,area,reason"


def test_a_movie_without_cells_gives_a_header_only(movie, tmp_path):
    table = extract(movie, tmp_path, np.zeros((3, 20, 20), np.uint16), features=[])
    assert len(table) == 0
    text = (tmp_path / "out" / "fov_000" / "squares_fov_000_traces_ch_1.csv").read_bytes()
    assert text == FIRST_COLUMNS.encode() + b"\n"


def test_features_follow_the_basic_columns(movie, tmp_path):
    features = ["intensity_p95", "perimeter", "math:dist"]
    with pytest.raises(InputError, match=r"FOV 0, extraction: frame 0: The feature 'dist' failed"):
        extract(movie, tmp_path, lives(2, [2]), features=features)
    table = extract(movie, tmp_path, lives(2, [2]), features=features[:2])
    assert list(table.columns) == [*FIRST_COLUMNS.split(","), "perimeter", "intensity_p95"]
    assert table.intensity_p95.tolist() == [1.0, 1.0]
    assert table.perimeter.tolist() == [12.0, 12.0]


def test_a_changed_function_is_measured_again(movie, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two files of the same size and second
    for factor in (2, 3):
        source = f"def scaled(image, mask):\n    return {factor} * mask.sum()\n"
        (tmp_path / "my_cells.py").write_text(source, encoding="utf-8")
        select_features.cache_clear()
        table = extract(movie, tmp_path, lives(2, [2]), features=["my_cells:scaled"])
        del sys.modules["my_cells"]
        assert table.scaled.tolist() == [factor * 16.0] * 2
    select_features.cache_clear()


def test_real_times_are_written_as_they_are(movie, tmp_path):
    times = (0.0, 4.75, 10.125, 1e6 / 3)
    table = extract(movie, tmp_path, lives(4, [4]), times)
    assert table.time.tolist() == list(times)


def test_an_interval_supplies_the_times(movie, tmp_path, caplog):
    table = extract(movie, tmp_path, lives(4, [4]), (None,) * 4, interval_minutes=2.5)
    assert table.time.tolist() == [0.0, 2.5, 5.0, 7.5]
    assert "when its frames were taken" not in caplog.text


def test_unknown_times_leave_the_column_empty_with_a_warning(movie, tmp_path, caplog):
    table = extract(movie, tmp_path, lives(4, [4]), (None,) * 4)
    assert table.time.isna().all()
    assert len(table) == 4
    (warning,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert "squares.ome.tif does not say when its frames were taken" in warning.message
    assert "--interval" in warning.message


def test_times_that_are_known_in_part_stay_with_their_frames(movie, tmp_path):
    table = extract(movie, tmp_path, lives(3, [3]), (0.0, None, 4.0))
    assert table.time.isna().tolist() == [False, True, False]


def test_cells_that_shared_an_object_are_marked_by_what_the_tracker_wrote(movie, tmp_path):
    seg = np.zeros((9, 60, 80), np.bool_)
    seg[:, 20:30, 20:30] = seg[:, 20:30, 36:46] = seg[:, 40:50, 20:30] = True
    seg[4, 20:30, 30:36] = True
    context = track(movie, tmp_path, seg, method="lineage")
    light = saved(tmp_path, "fl_corrected", np.ones(seg.shape, np.float32))
    context.results_paths[0].fl_corrected = [(1, light)]
    ExtractionService().process_fov(of_shape(movie, seg.shape), context, tmp_path / "out", 0)
    table = pd.read_csv(result(context, "traces_csv"))
    reasons = table.groupby("cell").reason.first()
    assert reasons[[1, 2]].tolist() == ["merged", "merged"]
    assert table.good[table.cell == 3].all()
    result(context, "tracks_csv").write_text("cell\n1\n", encoding="utf-8")
    with pytest.raises(DamagedFileError, match=r"tracks\.csv: not a table of cells"):
        ExtractionService().process_fov(of_shape(movie, seg.shape), context, tmp_path / "out", 0)


def test_huge_and_sparse_labels_are_measured_like_small_ones(movie, tmp_path):
    labels = lives(2, [2, 2]).astype(np.int64)
    labels[labels == 2] = 2**62
    table = extract(movie, tmp_path, labels)
    assert table.cell.tolist() == [1, 1, 2**62, 2**62]
    assert table.area.tolist() == [16] * 4


# The steps together on a source


def test_rough_squares_become_two_whole_traces_of_the_true_brightness(movie, tmp_path):
    context = request()
    for service in SERVICES:
        service().process_fov(movie, context, tmp_path, 0)
    table = pd.read_csv(result(context, "traces_csv"))
    assert table.groupby("cell").size().tolist() == [N_FRAMES, N_FRAMES]
    assert table.time.tolist() == [2.0 * t for t in range(N_FRAMES)] * 2
    for cell, (y, x) in zip((1, 2), CORNERS, strict=True):
        rows = table[table.cell == cell]
        np.testing.assert_allclose(rows.position_x, x + 13.5, atol=1)
        np.testing.assert_allclose(rows.position_y, y + 13.5, atol=1)
        np.testing.assert_allclose(rows.intensity_total, 50 * 28**2, rtol=0.02)


def test_tiles_of_the_background_are_four_cells_wide_where_their_diameter_is_known(tmp_path):
    position = rough_squares(2, SIZE, CORNERS, seed=0)
    position[:, 1] += (np.arange(SIZE) ** 2 // 20).astype(position.dtype)
    movie = metadata_of(write_movie(tmp_path / "m.ome.tif", [position], ["phase", "GFP"], 2.0))

    def corrected(name: str, **params) -> bytes:
        context = ProcessingContext(channels=Channels(pc=0, fl=[1]), params=params)
        for service in (CopyingService, SegmentationService, CorrectionService):
            service().process_fov(movie, context, tmp_path / name, 0)
        return context.results_paths[0].fl_corrected[0][1].read_bytes()

    def of_cells(diameter: int) -> dict[str, object]:
        return {"method": "instances", "cell_diameter": diameter}

    def decided(name: str) -> dict[str, str]:
        outputs = load_record(tmp_path / name / "fov_000" / "m_fov_000_record.json").outputs
        return next(each for key, each in outputs.items() if "corrected" in key).provenance.inputs

    found = corrected("a", segmentation=of_cells(18))
    assert found == corrected("b", segmentation=of_cells(18), correction={"tile_size": 72})
    assert found != corrected("c", segmentation=of_cells(18), correction={"tile_size": 256})
    settled = {"tile_size": 72, "edges": "linear", "hidden_tiles": "around", "rounds": 2}
    assert found == corrected("g", segmentation=of_cells(18), correction=settled)
    assert found != corrected("h", segmentation=of_cells(18), correction={"edges": "constant"})
    assert found != corrected("i", segmentation=of_cells(18), correction={"rounds": 1})
    enlarged = corrected("j", segmentation=of_cells(18), correction={"dilation_size": "auto"})
    assert enlarged == corrected("k", segmentation=of_cells(18), correction={"dilation_size": 9})
    assert enlarged != found
    assert "dilation_size" not in decided("a")
    assert decided("j")["dilation_size"] == "9"
    unknown = corrected("d", **exact())
    settled = {"tile_size": 256, "edges": "constant", "hidden_tiles": "median", "rounds": 1}
    assert unknown == corrected("e", **exact(), correction=settled)
    # In the same folder: the masks may stay the same, the tiles do not.
    assert corrected("a", segmentation=of_cells(20)) != found
