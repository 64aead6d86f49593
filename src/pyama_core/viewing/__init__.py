"""Results on the screen of napari: as layers, which need no napari, and in a window of their own.

`layers` says what is shown of a field of view, `napari_reader` is what napari asks when a folder is
dropped on it (``napari.yaml`` tells it so), and `napari_window` is behind `pyama view`.
"""
