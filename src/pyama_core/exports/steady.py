"""An export is of one piece: no run makes anew what it reads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping

from pyama_core.errors import DamagedFileError, InputError
from pyama_core.results.fov_results import FovResults


@contextlib.contextmanager
def steady(fovs: Iterable[FovResults]) -> Iterator[None]:
    """Refuse what was read in the block if a run made some of it anew meanwhile.

    What a run adds is no harm: it is as if it had come after the export.

    Raises
    ------
    InputError
        An output is another one now, or gone.
    """
    before = [(fov, _checksums(fov)) for fov in fovs]
    yield
    for fov, known in before:
        now = _checksums(fov)
        if changed := sorted(name for name in known if now.get(name) != known[name]):
            raise InputError(
                f"{fov.title}: {changed[0]} was made anew or deleted while it was exported; "
                "nothing was written: export again when the run is through"
            )


def _checksums(fov: FovResults) -> Mapping[str, str]:
    """Return what is on record, by name, with what tells one content from another."""
    try:
        return {name: entry.checksum for name, entry in fov.record.outputs.items()}
    except DamagedFileError:
        return {}
