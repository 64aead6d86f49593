"""The folder of one field of view: the only place that decides what may be skipped.

Who owns which file
    The run that holds the lock of the folder owns everything in it; within that run the folder
    is handed from process to process (copying, then a worker, then the flushing at the end),
    never shared. So a record has one writer at a time, and every temporary file found when work
    begins is the remains of a dead process.

Order of operations, for one output
    1. write it whole under a temporary name, hashing on the way, and close it;
    2. make sure that the lock is still ours;
    3. if a file of this name is there that is not as a run wrote it, rename that to a name which
       says so: it may be a person's work;
    4. delete the entry of an older output from the record, note the checksums of the older and
       the new file there, and save;
    5. rename;
    6. add the new entry to the record and save.

Why that order
    A process killed before 5 leaves a temporary file, which is swept. Killed between 5 and 6 it
    leaves a whole file that no record proves, which is made again, and whose checksum tells that
    it is nobody's work. Without 4, the old entry would describe the new file for a moment, and
    where modification times are coarse nothing would tell the two apart. No order leaves a record
    that proves a file which is not whole.

What counts as proof
    The record parses, belongs to this source, and its entry has the provenance that would be
    asked for now; the file has the recorded size and modification time, and was written on this
    host in this boot, or was flushed to disk since. If the time, the host or the boot differ,
    the checksum decides.
"""

from __future__ import annotations

import contextlib
import glob
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from pyama_core.errors import DamagedFileError, InputError, StorageError, reason_of
from pyama_core.io.base_names import require_portable
from pyama_core.io.checksums import SourceIdentity, value_checksum
from pyama_core.io.frame_ranges import format_ranges
from pyama_core.io.read_files import ReadFiles
from pyama_core.io.storage.artifacts import (
    FolderWriter,
    WrittenArtifact,
    checksum_of,
    delete,
    flush,
    is_folder,
    keep_aside,
    look_at,
    may_hold_work,
    put_in_place,
)
from pyama_core.io.storage.as_written import here_and_now, is_as_written, may_be_torn
from pyama_core.io.storage.atomic import is_temporary
from pyama_core.io.storage.locks import LockTicket
from pyama_core.io.storage.naming import fov_folder_name, output_name, record_name
from pyama_core.io.storage.planned import PlannedOutput
from pyama_core.io.storage.records import (
    Failure,
    FovRecord,
    Names,
    OutputEntry,
    OwnFilesNote,
    PictureNote,
    Settings,
    load_record,
    require_readable,
    save_record,
)
from pyama_core.io.storage.scratch import Scratch
from pyama_core.io.storage.stacks import FileWriter, StackWriter, value_of_missing
from pyama_core.outputs import Form, Output, kind_named

logger = logging.getLogger(__name__)


class FovFolder:
    """Outputs and record of one field of view.

    Parameters
    ----------
    output_dir : Path
        Folder of the whole run.
    base_name : str
        Name of the source without its ending; all outputs begin with it.
    fov : int
        Field of view.
    source : SourceIdentity
        Identity of the microscope file.
    ticket : LockTicket, optional
        Proof of the lock under which the folder is written; without one it can only be read.
    cancelled : callable
        Asked, while files are read for their checksums, whether to raise `CancelledError`.
    scratch : Scratch or None
        Where stacks are that are not kept.
    """

    def __init__(
        self,
        output_dir: Path,
        base_name: str,
        fov: int,
        source: SourceIdentity,
        ticket: LockTicket | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        scratch: Scratch | None = None,
    ) -> None:
        require_portable(base_name)
        self.path = output_dir / fov_folder_name(fov)
        self._scratch = scratch
        self.base_name = base_name
        self.fov = fov
        self._ticket = ticket
        self._cancelled = cancelled
        self._record_path = self.path / record_name(base_name, fov)
        record = load_record(self._record_path)
        fits = record is None or record.may_be_of(source) or record.own_files is not None
        if record is not None and (record.fov != fov or not fits):
            raise InputError(
                f"{self._record_path} belongs to another source file or FOV; "
                "choose another output folder, or delete this one"
            )
        if record is not None and not record.outputs:
            record = record.model_copy(update={"source": source, "seen_source": None})
        self.record = record or FovRecord(fov=fov, base_name=base_name, source=source)
        self._source = source

    def path_of(self, output: Output) -> Path:
        """Path of an output, whether it exists or not."""
        name = output_name(self.base_name, self.fov, output)
        return self._in_scratch(name, output) or self.path / name

    def _in_scratch(self, name: str, output: Output) -> Path | None:
        """Path of an output on the local disk, if it goes there; what is in the folder stays."""
        if self._scratch is None or not self._scratch.takes(output):
            return None
        if os.path.lexists(self.path / name):
            return None
        return self._scratch.of_fov(self.fov) / name

    def place_of(self, name: str) -> Path:
        """Path of an output on record."""
        entry = self.record.outputs[name]
        kind = kind_named(entry.kind)
        if kind is None:
            return self.path / name
        return self._in_scratch(name, Output(kind, entry.channel)) or self.path / name

    def holds(self, path: Path) -> bool:
        """Whether a file is one of this field of view, by the folder that it is in."""
        scratch = self._scratch
        return path.parent == self.path or (
            scratch is not None and path.parent == scratch.of_fov(self.fov)
        )

    # What is there

    def proves(self, planned: PlannedOutput, *, hashing: bool = True) -> OutputEntry | None:
        """Entry of an output that need not be made again, or None.

        Parameters
        ----------
        planned : PlannedOutput
            What is wanted now.
        hashing : bool
            Whether the checksum of a file may be computed where size and time do not suffice.
            Without it, such a file is not proven.
        """
        path = self.path_of(planned.output)
        entry = self.record.outputs.get(path.name)
        if entry is None or not planned.is_as_recorded(entry):
            return None
        if entry.channel != planned.output.channel:  # the name does not tell it
            return None
        if not (entry.released or entry.not_made or is_as_written(path, entry)):
            revalidated = self._revalidate(path, entry) if hashing else None
            if revalidated is None:
                return None
            entry = revalidated
        return self._with_identities(path.name, entry, planned.identities())

    def _with_identities(
        self, name: str, entry: OutputEntry, now: dict[str, SourceIdentity]
    ) -> OutputEntry:
        """Remember how the files are that were found to have the content that was read."""
        if entry.read == now or self._ticket is None:
            return entry
        entry = entry.model_copy(update={"read": now})
        self._save(self.record.with_output(name, entry))
        return entry

    def checksum_of_files(self, output: Output, role: str, files: ReadFiles) -> str:
        """Checksum of files beside the source, from the record where they are as they were.

        Parameters
        ----------
        output : Output
            What is made of them.
        role : str
            What they are to it.
        files : ReadFiles
            The files.

        Raises
        ------
        InputError
            One cannot be read.
        """
        entry = self.record.outputs.get(self.path_of(output).name)
        known = None if entry is None else entry.read.get(role)
        if entry is not None and known is not None and known.is_same(files.identity):
            return entry.provenance.inputs[role]
        return files.checksum(self._cancelled)

    def doubt_files(self) -> None:
        """Let the whole content of files beside the source decide, whatever their times."""
        doubtful = {name: entry for name, entry in self.record.outputs.items() if entry.read}
        for name, entry in doubtful.items():
            self._save(self.record.with_output(name, entry.model_copy(update={"read": {}})))

    def _revalidate(self, path: Path, entry: OutputEntry) -> OutputEntry | None:
        """Decide by checksum about a file that was touched, moved or outlived a reboot."""
        try:
            seen = look_at(path)
            intact = seen.size == entry.size and self._checksum(path) == entry.checksum
        except OSError:
            return None
        if not intact:
            logger.warning("%s is not as it was written: it will be made again", path)
            return None
        entry = entry.model_copy(update={"mtime_ns": seen.mtime_ns, **here_and_now()})
        if self._ticket is not None:
            self._save(self.record.with_output(path.name, entry))
        return entry

    def checksum_of(self, path: Path) -> str:
        """Checksum of an input file, from the record where that speaks of the file as it is.

        Raises
        ------
        InputError
            There is no such file.
        """
        entry = self.record.outputs.get(path.name) if self.holds(path) else None
        if entry is not None and (entry.released or entry.not_made or is_as_written(path, entry)):
            return entry.checksum
        try:
            return self._checksum(path)
        except OSError as error:
            raise InputError(f"cannot read {path}: {reason_of(error)}") from error

    def find_damage(self) -> dict[str, str]:
        """Compare every output with its recorded checksum; name and fault of those that differ."""
        damage = {}
        for name, entry in sorted(self.record.outputs.items()):
            if not entry.released and not entry.not_made:
                fault = self._fault_of(self.place_of(name), entry)
                if fault is not None:
                    damage[name] = fault
        return damage

    def _fault_of(self, path: Path, entry: OutputEntry) -> str | None:
        try:
            size = look_at(path).size
            if size != entry.size:
                return f"expected {entry.size} bytes, found {size}"
            if self._checksum(path) != entry.checksum:
                return "its content differs from what was written (checksum)"
        except FileNotFoundError:
            return "missing"
        except OSError as error:
            return f"cannot be read: {reason_of(error)}"
        return None

    def _checksum(self, path: Path) -> str:
        return checksum_of(path, self._cancelled)

    # The source

    @property
    def is_source_decided(self) -> bool:
        """Whether the source is known to be the one that the copies were made of."""
        return self.record.knows_source(self._source)

    def confirm_source(self, own: SourceIdentity | None = None) -> None:
        """Note that the source has the pixels that were copied here, whatever else changed.

        Parameters
        ----------
        own : SourceIdentity or None
            What identifies the files of this field of view alone.
        """
        known = self.record.source
        if not known.content:
            known = known.model_copy(update={"content": self._source.content})
        self._save_source(own, source=known, seen_source=self._source)

    def adopt_source(self, own: SourceIdentity | None = None) -> None:
        """Note that the source has other pixels by now: what was copied proves nothing more.

        Parameters as `confirm_source`.
        """
        self._save_source(own, source=self._source, seen_source=None)

    def note_own_files(self, own: SourceIdentity | None) -> None:
        """Note which files of the source are those of this field of view; as `confirm_source`."""
        if own != self.record.own_files:
            self._save_source(own)

    def _save_source(self, own: SourceIdentity | None, **found: SourceIdentity | None) -> None:
        record = self.record.model_copy(update=found)
        note = OwnFilesNote(identity=own, within=record.source.as_text()) if own else None
        self._save(record.model_copy(update={"own": note}))

    # Work

    def begin(
        self, settings: Settings, names: Names | None = None, picture: PictureNote | None = None
    ) -> None:
        """Prepare for work: sweep the remains of dead runs, note what this one is asked for."""
        self.sweep()
        news: dict[str, Any] = {"settings": settings, "failure": None, "picture": picture}
        if names is not None:
            news["names"] = names
        asked = self.record.model_copy(update=news)
        if asked != self.record:
            require_readable(asked)
            self._save(asked)

    def sweep(self) -> None:
        """Delete temporary files of outputs and records; only the holder of the lock may."""
        folders = [self.path]
        if self._scratch is not None:
            folders.append(self._scratch.of_fov(self.fov))
        for folder in folders:
            for path in folder.glob(f".{glob.escape(self.base_name)}_*"):
                if is_temporary(path):
                    with contextlib.suppress(FileNotFoundError):
                        delete(path)

    @contextlib.contextmanager
    def new_stack(
        self,
        planned: PlannedOutput,
        shape: tuple[int, int, int],
        dtype: DTypeLike,
        summary: dict[str, int] | None = None,
    ) -> Iterator[StackWriter]:
        """Write a stack that gets its final name and its entry at the end of the block.

        If the block raises, nothing is left behind.
        """
        value = value_of_missing(planned.output.kind.missing, np.dtype(dtype))
        final = self.path_of(planned.output)
        if self._scratch is not None and final.parent != self.path:
            self._scratch.make(final.parent)
        writer = StackWriter(final, shape, dtype, value)
        try:
            yield writer
            described = {
                "shape": shape,
                "dtype": writer.dtype.name,
                "missing": format_ranges(writer.missing),
                "summary": summary or {},
            }
            self._commit(planned, writer.finish(), described)
        finally:
            writer.discard()

    def write_table(
        self, planned: PlannedOutput, blocks: Iterable[str], summary: dict[str, int]
    ) -> None:
        r"""Write a text output (UTF-8, ``\n``), given block by block, with its entry."""
        writer = FileWriter(self.path_of(planned.output))
        try:
            for block in blocks:
                writer.write(block.encode())
            self._commit(planned, writer.finish(), {"summary": summary})
        finally:
            writer.discard()

    @contextlib.contextmanager
    def new_folder(
        self, planned: PlannedOutput, summary: dict[str, int] | None = None
    ) -> Iterator[Path]:
        """Fill a folder that gets its final name and its entry at the end of the block.

        Files in it must be closed by then. If the block raises, nothing is left behind.
        """
        writer = FolderWriter(self.path_of(planned.output))
        try:
            yield writer.path
            self._commit(planned, writer.finish(), {"summary": summary or {}})
        finally:
            writer.discard()

    def _commit(
        self,
        planned: PlannedOutput,
        written: WrittenArtifact,
        described: dict[str, Any],
    ) -> None:
        final = self.path_of(planned.output)
        self._require_lock()
        if is_folder(final) == is_folder(written.temporary):  # otherwise the rename is refused
            self._keep_if_changed(final, written.checksum)
        self._save(self.record.without_output(final.name, written.checksum))
        put_in_place(written.temporary, final)
        entry = OutputEntry(
            kind=planned.output.kind.name,
            channel=planned.output.channel,
            provenance=planned.provenance,
            read=planned.identities(),
            size=written.size,
            mtime_ns=written.mtime_ns,
            checksum=written.checksum,
            **here_and_now(),
            **described,
        )
        self._save(self.record.with_output(final.name, entry))

    def note_not_made(
        self,
        planned: PlannedOutput,
        shape: tuple[int, int, int],
        dtype: DTypeLike,
        missing: Iterable[int],
        reason: str,
    ) -> None:
        """Record that the data cannot give a stack; an older file of its name is deleted.

        One that was changed since it was written is kept under another name.

        Raises
        ------
        StorageError
            That file cannot be deleted or renamed.
        """
        path = self.path_of(planned.output)
        self._require_lock()
        self._keep_if_changed(path)
        self.forget(path.name)
        try:
            delete(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise StorageError.about("delete", path, error) from error
        entry = OutputEntry(
            kind=planned.output.kind.name,
            channel=planned.output.channel,
            provenance=planned.provenance,
            read=planned.identities(),
            shape=shape,
            dtype=np.dtype(dtype).name,
            size=0,
            mtime_ns=0,
            checksum=value_checksum([planned.output.kind.name, reason]),
            missing=format_ranges(sorted(missing)),
            not_made=reason,
            **here_and_now(),
        )
        self._save(self.record.with_output(path.name, entry))

    def forget(self, name: str) -> None:
        """Stop believing in an output; the file stays until it is replaced."""
        if name in self.record.outputs:
            self._save(self.record.without_output(name))

    def _keep_if_changed(self, path: Path, coming: str = "") -> None:
        """Rename what is under the name of an output, unless a run made it.

        Parameters
        ----------
        path : Path
            Path of the output.
        coming : str
            Checksum of what will take its place; nothing is lost where that is the same.
        """
        if may_hold_work(path) and not self._is_of_a_run(path, coming):
            kept = keep_aside(path)
            logger.warning(
                "%s was changed since it was written; what it was changed to is kept as %s",
                path,
                kept.name,
            )

    def _is_of_a_run(self, path: Path, coming: str) -> bool:
        entry = self.record.outputs.get(path.name)
        kind = None if entry is None else kind_named(entry.kind)
        # Tables are what people change, and are read quickly.
        if entry and kind and kind.form is not Form.TABLE and is_as_written(path, entry):
            return True
        if entry and may_be_torn(path, entry):
            return True
        try:
            return self._checksum(path) in (*self.record.own_checksums(path.name), coming)
        except OSError:
            return False

    def release(self, name: str) -> bool:
        """Delete an output to save space, and remember what it was.

        The record is written first: a process killed in between leaves a file too many, which
        the next release deletes. What was changed since it was written is renamed instead.

        Returns
        -------
        bool
            Whether there was a file to delete.

        Raises
        ------
        StorageError
            The file cannot be deleted or renamed.
        """
        self._require_lock()
        entry = self.record.outputs[name]
        if entry.not_made:
            return False
        if not entry.released:
            released = entry.model_copy(update={"released": True})
            self._save(self.record.with_output(name, released))
        path = self.place_of(name)
        self._keep_if_changed(path)
        try:
            delete(path)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StorageError.about("delete", path, error) from error
        return True

    def note_failure(self, step: str, error: str) -> None:
        """Record why work on this field of view stopped."""
        self._save(self.record.model_copy(update={"failure": Failure(step=step, error=error)}))

    def make_durable(self, hurry: Callable[[], bool] = lambda: False) -> None:
        """Flush outputs to disk and mark them so; stop between two files when in a hurry.

        Raises
        ------
        StorageError
            A file cannot be flushed; it stays unmarked, so that its checksum will decide.
        """
        record = self.record
        for name, entry in record.outputs.items():
            if entry.durable or entry.released or entry.not_made:
                continue
            if hurry():
                break
            try:
                flush(self.place_of(name))
            except OSError as error:
                raise StorageError.about("flush", self.place_of(name), error) from error
            record = record.with_output(name, entry.model_copy(update={"durable": True}))
        if record is not self.record:
            self._save(record)

    def _save(self, record: FovRecord) -> None:
        self._require_lock()
        save_record(self._record_path, record)
        self.record = record

    def _require_lock(self) -> None:
        if self._ticket is None:
            raise RuntimeError(f"{self.path} was opened for reading, without its lock")
        self._ticket.require()


def open_recorded_folder(record_path: Path) -> FovFolder:
    """Open a folder for reading by its record alone, without the microscope file.

    Raises
    ------
    DamagedFileError
        The record cannot be believed.
    """
    record = load_record(record_path)
    expected = record and (fov_folder_name(record.fov), record_name(record.base_name, record.fov))
    if record is None or expected != (record_path.parent.name, record_path.name):
        raise DamagedFileError(f"{record_path} is damaged; run again to make its outputs anew")
    return FovFolder(record_path.parent.parent, record.base_name, record.fov, record.source)
