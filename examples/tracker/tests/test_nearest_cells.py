import numpy as np

from pyama_core.processing.tracking.tracker import find_tracking


def follow(masks, **parameters):
    method = find_tracking("nearest")
    tracker = method.create(method.parameters(**parameters), "uint16")
    for mask in masks:
        tracker.preview(mask)
    return [tracker.update(mask) for mask in masks], tracker


def movie(*places):
    """Squares of 6 pixels: for each frame, where they are."""
    frames = np.zeros((len(places), 100, 100), bool)
    for frame, squares in zip(frames, places, strict=True):
        for row, column in squares:
            frame[row : row + 6, column : column + 6] = True
    return frames


def test_cells_keep_their_numbers_while_they_move():
    labels, tracker = follow(movie([(20, 20), (60, 60)], [(28, 25), (55, 52)]))
    assert tracker.n_cells == 2
    assert labels[1][30, 27] == labels[0][22, 22]
    assert labels[1][57, 54] == labels[0][62, 62]


def test_a_cell_that_would_have_gone_too_far_is_another_one():
    labels, tracker = follow(movie([(20, 20)], [(60, 60)]), reach=30)
    assert tracker.n_cells == 2
    assert labels[1][62, 62] == 2


def test_two_cells_do_not_become_one():
    _, tracker = follow(movie([(20, 20), (20, 34)], [(20, 22)]))
    assert [track.last_frame for track in tracker.tracks()] == [1, 0]


def test_frames_without_cells_are_no_trouble():
    labels, tracker = follow(movie([], [(20, 20)], []))
    assert tracker.n_cells == 1
    assert not labels[2].any()
