"""Synthetic images whose every pixel is the same with any version of NumPy, on any machine.

They are computed in integers, from the raw bits of a generator whose stream NumPy promises to keep.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

IntImage = NDArray[np.int64]

Disc = tuple[int, int, int]
"""Row and column of the centre, and radius."""


def noise(shape: tuple[int, int], seed: int, largest: int) -> IntImage:
    """Whole numbers from −largest to largest, nearly as likely each."""
    raw = np.random.PCG64(seed).random_raw(shape[0] * shape[1])
    return (raw % np.uint64(2 * largest + 1)).astype(np.int64).reshape(shape) - largest


def distances(shape: tuple[int, int], disc: Disc) -> IntImage:
    """Squared distances from the centre of a disc."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return np.asarray((rows - disc[0]) ** 2 + (columns - disc[1]) ** 2, np.int64)


def labels_of(shape: tuple[int, int], discs: list[Disc]) -> NDArray[np.uint16]:
    """A label image of discs, numbered from 1; later ones lie above earlier ones."""
    labels = np.zeros(shape, np.uint16)
    for number, disc in enumerate(discs, 1):
        labels[distances(shape, disc) < disc[2] ** 2] = number
    return labels


def phase_contrast(
    shape: tuple[int, int], discs: list[Disc], seed: int, bright: tuple[int, ...] = ()
) -> NDArray[np.uint16]:
    """Rough discs with bright rims and halos on shaded ground; `bright` ones are rounded cells."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    image = 2000 + (3 * rows + 2 * columns) // 4 + noise(shape, seed, 6)
    texture = noise(shape, seed + 1, 160)
    for number, disc in enumerate(discs):
        square, radius = distances(shape, disc), disc[2]
        image = np.where(square < radius**2, image + texture - 60, image)
        rim = ((radius - 1) ** 2 <= square) & (square < (radius + 2) ** 2)
        image = np.where(rim, np.maximum(image, 2500), image)
        halo = ((radius + 2) ** 2 <= square) & (square < (radius + 5) ** 2)
        image = np.where(halo, image + 40, image)
        if number in bright:
            image = np.where(square < (radius - 2) ** 2, 4500 + texture, image)
    return image.astype(np.uint16)


def fluorescence(shape: tuple[int, int], discs: list[Disc], seed: int) -> NDArray[np.uint16]:
    """Discs of several brightness on uneven ground."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    image = 400 + rows * columns // 500 + noise(shape, seed, 12)
    for number, disc in enumerate(discs, 1):
        square = distances(shape, disc)
        image = image + np.where(square < disc[2] ** 2, 90 * number + (disc[2] ** 2 - square), 0)
    return image.astype(np.uint16)


CELLS: list[Disc] = [
    (30, 34, 13), (34, 60, 13), (80, 40, 12), (84, 110, 16), (130, 60, 11), (128, 84, 12),
    (40, 120, 11), (150, 140, 13), (100, 160, 12), (0, 90, 12), (160, 20, 12), (20, 165, 9),
    (168, 100, 7), (66, 78, 4), (110, 20, 3),
]  # fmt: skip
SHAPE = (180, 190)
BRIGHT = (6, 11)


def crowded_nuclei() -> NDArray[np.uint16]:
    """Nuclei of very unequal brightness, so close that they cover half of the frame."""
    image = np.full(SHAPE, 200) + noise(SHAPE, 17, 9)
    for number, (row, column) in enumerate(np.ndindex(12, 12)):
        light = 90 * (1 + 37 * number % 19)
        square = distances(SHAPE, (8 + 15 * row, 8 + 15 * column + row % 2 * 3, 0))
        image = image + np.where(square < 36, light + (36 - square) * light // 90, 0)
    return image.astype(np.uint16)


def nuclei() -> NDArray[np.uint16]:
    """Bright spots in most of the cells, two of them close together."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = 100 + (rows + columns) // 8 + noise(SHAPE, 5, 4)
    spots = [*CELLS[:9], (84, 118, 0), (140, 170, 0)]
    for y, x, _ in spots:
        square = (rows - y) ** 2 + (columns - x) ** 2
        image = image + np.maximum(0, 240 - 9 * square)
    return image.astype(np.uint16)


DIFFICULT_SHAPE = (300, 310)


def difficult_cells() -> NDArray[np.uint16]:
    """What a segmentation for cells of 24 pixels must decide about, on either side of its limits.

    Row by row: rings around smooth ground, pairs that overlap more and more, ever larger specks,
    ever rougher discs, halos of several heights, ever longer ellipses, chains, and cells with
    bright lines in them of several lengths.
    """
    shape, seed = DIFFICULT_SHAPE, 33
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    roughness = np.zeros(shape, np.int64)  # percent

    def draw(y: int, x: int, square: int, percent: int = 100) -> None:
        roughness[distances(shape, (y, x, 0)) < square] = percent

    for k, square in enumerate((25, 78, 84, 90, 96)):
        draw(24, 24 + 44 * k, 256)
        draw(24, 24 + 44 * k, square, 0)
    for k, apart in enumerate((22, 20, 18, 16, 14, 12)):
        draw(70, 22 + 50 * k, 144)
        draw(70, 22 + 50 * k + apart, 144)
    for k, square in enumerate((9, 16, 25, 36, 49, 64)):
        draw(110, 15 + 26 * k, square)
    for x, percent in ((180, 40), (224, 60)):
        draw(110, x, 144, percent)
    for k, percent in enumerate((8, 12, 18, 25)):
        draw(145, 20 + 44 * k, 144, percent)
    for k, (p, q) in enumerate(((16, 9), (18, 8), (20, 7), (22, 6), (26, 5))):
        y, x = rows - 185, columns - (24 + 60 * k)
        roughness[y * y * p * p + x * x * q * q < p * p * q * q] = 100
    for k in range(6):
        draw(225, 20 + 17 * k, 100)
        draw(268, 24 + 48 * k, 196)
    for k in range(4):
        draw(225 + 7 * (k % 2), 150 + 20 * k, 169)
    texture = noise(shape, seed + 1, 160)
    image = 3000 + rows // 2 - columns // 3 + noise(shape, seed, 6)
    image = image + texture * roughness // 100 - 60 * roughness // 100
    for k, length in enumerate((5, 7, 9, 12, 16, 28)):
        x, top = 24 + 48 * k, 268 - length // 2
        image[top : top + length, x - 1 : x + 2] = 3400
    for k, height in enumerate((30, 60, 120, 240)):
        square = distances(shape, (150, 215 + 26 * k, 0))
        image = np.where((square >= 64) & (square < 121), image + height, image)
        image = np.where(square < 64, image + texture - 80, image)
    return image.astype(np.uint16)


def difficult_nuclei() -> NDArray[np.uint16]:
    """Nuclei for these: pairs ever farther apart, ever brighter ones, ever larger dots."""
    shape, seed = DIFFICULT_SHAPE, 83
    _, columns = np.mgrid[: shape[0], : shape[1]]
    image = 300 + columns // 6 + noise(shape, seed, 10)
    spots = [(110, 15 + 26 * k, h, 1) for k, h in enumerate((8, 12, 16, 20, 25, 30, 40, 60))]
    for k, apart in enumerate((5, 6, 7, 8, 9, 10)):
        spots += [(70, 26 + 50 * k, 200, 6), (70, 26 + 50 * k + apart, 200, 6)]
    spots += [(225, 20 + 17 * k, 150, 4) for k in range(6)]
    spots += [(268, 24 + 48 * k, 150, 3) for k in range(6)]
    for y, x, height, fall in spots:
        image = image + np.maximum(0, height - fall * distances(shape, (y, x, 0)))
    for k, square in enumerate((1, 4, 9, 16, 25)):
        image[distances(shape, (185, 24 + 60 * k, 0)) < square] += 90
    return image.astype(np.uint16)


def rods() -> NDArray[np.uint16]:
    """Pairs of dark rods side by side, ever farther apart, in a bright halo."""
    shape = (120, 200)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    image = 3000 + noise(shape, 7, 6)
    for k, apart in enumerate((2, 3, 4, 5)):
        along = np.maximum(0, np.abs(columns - (24 + 48 * k)) - 6)
        sides = (50 - (9 + apart) // 2, 50 + (10 + apart) // 2)
        square = np.minimum(*(along**2 + (rows - y) ** 2 for y in sides))
        image = np.where(square < 64, image + 220, image)
        image = np.where(square < 25, image - 900, image)
    return image.astype(np.uint16)


def movie() -> list[NDArray[np.uint16]]:
    """Label images in which cells walk, touch, part, are missed, break, divide and leave.

    The field of view jumps before the eighth frame.
    """
    frames = []
    for t in range(12):
        dy, dx = (9, -14) if t >= 7 else (0, 0)
        discs: list[Disc] = [
            (30 + t, 30 + 2 * t, 10), (30 + t, 56 - (t if t < 6 else 12 - t), 9),
            (90, 20 + 5 * t, 8), (120, 100 - t, 11), (60, 150 + 3 * t, 9), (150, 40, 7),
            (160, 120 + (t % 3), 10), (20 + 13 * t, 90, 4), (100, 160, 8),
        ]  # fmt: skip
        if t in (4, 5):
            del discs[5]
        if t >= 6:  # the fourth divides
            discs[3:4] = [(114, 100 - t - 7, 7), (127, 100 - t + 7, 7)]
        labels = labels_of(SHAPE, [(y + dy, x + dx, r) for y, x, r in discs])
        if t in (2, 9):  # one breaks in two
            cell = labels[160 + dy, 120 + dx]
            rows = np.arange(SHAPE[0])[:, np.newaxis]
            labels[(labels == cell) & (rows == 157 + dy)] = 0
            labels[(labels == cell) & (rows < 157 + dy)] = 40
        frames.append(labels)
    return frames
