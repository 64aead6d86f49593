"""Whether results in a folder are of the source of a request, or of which positions they are not.

A data set of many files may be mended: a damaged file is copied again, a position that came late is
added. What was made of files that are as they were stays valid.
"""

from __future__ import annotations

from pathlib import Path

from pyama_core.errors import InputError
from pyama_core.io.checksums import SourceIdentity, identify_source
from pyama_core.io.microscopy import LateSource
from pyama_core.io.storage.records import FovRecord
from pyama_core.processing.workflow.services.source_identity import identify_own_files


class SourceCheck:
    """Compares records with a source.

    Parameters
    ----------
    source : LateSource
        The source, which is opened only where its parts must be told apart.
    identity : SourceIdentity
        What identifies it as a whole.
    output_dir : Path
        Folder of the results, for words.
    """

    def __init__(self, source: LateSource, identity: SourceIdentity, output_dir: Path) -> None:
        self._source = source
        self._identity = identity
        self._output_dir = output_dir
        self._decided: dict[SourceIdentity, bool] = {}
        self._is_this = False
        self._changed: FovRecord | None = None

    def is_as_copied(self, record: FovRecord) -> bool:
        """Whether a field of view has the files that were copied, as far as times do not matter.

        Raises
        ------
        InputError
            The record is of another source.
        """
        if self._is_of_the_whole(record):
            self._is_this |= bool(record.outputs)
            return True
        copied, metadata = record.own_files, self._source.metadata
        if copied is None or record.fov >= metadata.n_fovs:
            raise self.of_another(record)
        now = identify_own_files(self._source.get(), record.fov)
        if now is not None and now.may_be(copied):
            self._is_this = True
            return True
        # Where positions were added or taken away, others may have their numbers.
        if now is None or record.names.fov != metadata.fov_names[record.fov]:
            raise self.of_another(record)
        self._changed = record
        return False

    def require_this_source(self) -> None:
        """Make sure, when all records were seen, that files which changed are of the same data set.

        That is believed where those of another field of view are as they were.

        Raises
        ------
        InputError
            There is none.
        """
        if self._changed is not None and not self._is_this:
            raise self.of_another(self._changed)

    def of_another(self, record: FovRecord) -> InputError:
        """Return the error for a record of another source."""
        if moved := self._told_of_move(record):
            return InputError(
                f"{self._output_dir} holds results in which {moved}; results go by the numbers of "
                "positions: give the source the positions that it had, in their order, or choose "
                "another output folder"
            )
        return InputError(
            f"{self._output_dir} holds results of another file ({record.base_name}, "
            f"{record.source.size} bytes) or of an earlier state of this one; "
            "choose another output folder, or delete this one"
        )

    def _told_of_move(self, record: FovRecord) -> str:
        """Say where a position has gone that was there; nothing if it cannot be told by its name.

        A name says enough only where no two positions have the same.
        """
        metadata, name = self._source.metadata, record.names.fov
        if record.own_files is None or not name or record.base_name != metadata.base_name:
            return ""
        now = [fov for fov, other in enumerate(metadata.fov_names) if other == name]
        if now == [record.fov] or len(now) > 1:
            return ""
        gone = f"FOV {record.fov} is the position {name!r}"
        return f"{gone}, which is FOV {now[0]} now" if now else f"{gone}, which is no longer there"

    def _is_of_the_whole(self, record: FovRecord) -> bool:
        if record.knows_source(self._identity):
            return True
        if record.source not in self._decided:
            self._decided[record.source] = self._may_be(record.source)
        return self._decided[record.source]

    def _may_be(self, known: SourceIdentity) -> bool:
        """Whether the source of older results may be this one, only with other times."""
        files = self._source.metadata.companions
        if known.content or len(files) != 1:
            return known.may_be(self._identity)
        return identify_source(files, known.mtime_ns).is_same(known)
