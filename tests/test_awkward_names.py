"""Names that files can have and text cannot, and names with meaning to others, survive a run."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from movies import metadata_of, rough_squares, write_movie
from pyama_core.errors import InputError
from pyama_core.io.base_names import portable_base_name
from pyama_core.io.checksums import SourceIdentity
from pyama_core.io.storage.fov_folder import FovFolder
from pyama_core.io.storage.naming import find_records, output_name, record_name
from pyama_core.io.storage.records import (
    FovRecord,
    Settings,
    load_record,
    require_readable,
    save_record,
)
from pyama_core.io.yaml_files import dump_yaml, load_yaml
from pyama_core.outputs import FL_CORRECTED, Output
from pyama_core.processing.workflow.pipeline import run_workflow
from pyama_core.processing.workflow.results_file import write_results
from pyama_core.processing.workflow.run_log import run_log
from pyama_core.processing.workflow.services.copying import CopyingService
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext
from pyama_core.processing.workflow.status import describe_folder, verify_folder
from runs import exact, inodes

pytestmark = pytest.mark.usefixtures("workers_inline")

PYAMA = [sys.executable, "-m", "pyama_core"]
SOURCE = SourceIdentity(size=1, mtime_ns=2, sample="x")

posix_only = pytest.mark.skipif(os.name == "nt", reason="names that Windows forbids")
bytes_only = pytest.mark.skipif(sys.platform != "linux", reason="file names that are any bytes")

NAMES = {
    "percent": "100% %d {fov} %(x)s",
    "brackets": "[a-z] {b} (c) [bold]x",
    "globs": "run*?[!x]",
    "newline": "one\ntwo\r\x1b[31m",
    "spaces at the end": " a . ",
    "hidden": ".hidden",
    "apple": "._apple",
    "colon": "12:30:00",
    "backslash": "a\\b",
    "windows": 'a<b>|c"d',
    "device": "CON",
    "long": "n" * 240,
    "long umlauts": "ü" * 115,
    "combining": "u\u0308ber",
    "emoji": "🔬 µ",
    "not utf-8": os.fsdecode(b"\xfcbung"),
    "not utf-8 and long": os.fsdecode(b"\xfc" * 240),
}


def write_named(folder: Path, name: str) -> Path:
    pixels = rough_squares(2, 64, [(10, 10)])
    plain = write_movie(folder / "plain.ome.tif", [pixels], ["Phase", "GFP"], 1.0)
    path = folder / f"{name}.ome.tif"
    try:
        plain.rename(path)
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system has no such names")
    return path


@posix_only
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_outputs_of_a_file_of_any_name_are_found_again(tmp_path, name):
    metadata = metadata_of(write_named(tmp_path, name))
    out = tmp_path / "out"
    request = ProcessingContext(out, Channels(pc=0, fl=[1]))
    CopyingService().process_fov(metadata, request, out, 0)
    made = inodes(out, "*.npy")
    assert len(made) == 2
    assert all(len(os.fsencode(file)) <= 255 and file.encode() for file in made)
    (path,) = find_records(out)
    record = load_record(path)
    assert record is not None
    assert record.base_name == metadata.base_name
    CopyingService().process_fov(metadata, request, out, 0)
    assert inodes(out, "*.npy") == made

    write_results(out)
    results = yaml.safe_load((out / "processing_results.yaml").read_text(encoding="utf-8"))
    assert results["base_name"] == metadata.base_name
    told = [results["results_paths"][0]["pc"][1], results["results_paths"][0]["fl"][0][1]]
    assert all((out / relative).is_file() for relative in told)
    assert verify_folder(out) == {}
    assert json.loads(json.dumps(describe_folder(out)))["fovs"]["0"]["steps"]["copying"] == "done"


@posix_only
def test_the_results_of_another_file_are_guarded_whatever_the_names(tmp_path):
    for name in (os.fsdecode(b"\xfcbung"), "12:30", ".hidden"):
        folder = tmp_path / str(ord(name[0]))
        folder.mkdir()
        metadata = metadata_of(write_named(folder, name))
        CopyingService().process_fov(metadata, ProcessingContext(channels=Channels(0)), folder, 0)
        other = dataclasses.replace(metadata, companions=(Path(__file__),))
        outcome = run_workflow(other, ProcessingContext(folder, Channels(pc=0, fl=[1])))
        assert "holds results of another file" in (outcome.refusal or "")


def test_names_that_are_text_stay_as_they_are():
    for name in ("experiment 1", "Übung (100%)", "a.b.c", "x" * 211, "ü" * 105, "a<b>", "a\nb"):
        assert portable_base_name(name) == name


@settings(max_examples=300, deadline=None)
@given(name=st.text(st.characters(codec=None), max_size=300))
def test_any_name_gives_a_base_name_that_files_and_text_can_have(name):
    base = portable_base_name(name)
    assert base
    assert not {"/", "\\", ":", "\0"} & set(base)
    assert portable_base_name(base) == base
    final = output_name(base, 999, Output(FL_CORRECTED, 9))
    assert len(f".{final}.01234567.tmp".encode()) <= 255
    record = FovRecord(fov=0, base_name=base, source=SOURCE)
    assert FovRecord.from_json(record.to_json()) == record


@pytest.mark.parametrize("base_name", ["a/b", "", "../x", "a\0", os.fsdecode(b"\xfc"), "x" * 400])
def test_a_base_name_that_files_cannot_have_is_refused_before_the_first_write(tmp_path, base_name):
    metadata = metadata_of(write_named(tmp_path, "m"))
    edited = dataclasses.replace(metadata, base_name=base_name)
    out = tmp_path / "out"
    outcome = run_workflow(edited, ProcessingContext(out, Channels(pc=0, fl=[1])))
    assert "outputs cannot be named after base_name" in (outcome.refusal or "")
    with pytest.raises(InputError, match="FOV 0, copying: outputs cannot be named after base_name"):
        CopyingService().process_fov(edited, ProcessingContext(channels=Channels(0)), out, 0)
    assert not list(out.rglob("*.npy")) + list(out.rglob("*.json"))


# Records, results, log


ODD = "M\udcfcller \ud800 \x1b[0m \x85 \ufeff \ufffe µ"


def odd_record() -> FovRecord:
    settings = Settings(
        channels={"pc": 0}, params={"segmentation": {"path": ODD}}, time_units="min", version="1"
    )
    record = FovRecord(fov=0, base_name="m", source=SOURCE, settings=settings)
    return record.model_validate({**dict(record), "failure": {"step": "copying", "error": ODD}})


def test_text_that_is_no_text_survives_a_record_and_the_results_file(tmp_path):
    (tmp_path / "fov_000").mkdir()
    path = tmp_path / "fov_000" / record_name("m", 0)
    require_readable(odd_record())
    save_record(path, odd_record())
    assert load_record(path) == odd_record()
    path.read_bytes().decode("ascii")
    write_results(tmp_path)
    results = load_yaml(tmp_path / "processing_results.yaml")
    assert results["failed"][0]["error"] == ODD
    assert results["params"]["segmentation"]["path"] == ODD
    (tmp_path / "processing_results.yaml").read_text(encoding="utf-8")


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.characters(codec=None)))
def test_any_text_written_to_a_results_file_is_read_back(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(dump_yaml({"a": text, "b": [text]}).encode())
    assert load_yaml(path) == {"a": text, "b": [text]}


def test_a_record_that_would_read_otherwise_is_refused_at_the_first_write(tmp_path, monkeypatch):
    folder = tmp_path / "fov_000"
    folder.mkdir()
    settings = Settings(channels={}, params={}, time_units="min", version="1")
    monkeypatch.setattr(FovRecord, "to_json", lambda self: self.model_dump_json()[:-1])
    opened = FovFolder(tmp_path, "m", 0, SOURCE)
    with pytest.raises(InputError, match="the record would be unreadable"):
        opened.begin(settings)
    monkeypatch.setattr(FovRecord, "to_json", lambda self: self.model_dump_json().replace("m", "n"))
    with pytest.raises(InputError, match="the record would be"):
        opened.begin(settings)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe{", b"[" * 100_000, b"null", b"1" * 5000, b'{"fov": NaN}', b'"\\udcfc"'],
)
def test_whatever_stands_in_a_record_file_is_no_traceback(tmp_path, content):
    path = tmp_path / "m_fov_000_record.json"
    path.write_bytes(content)
    assert load_record(path) is None


def test_the_log_takes_names_that_are_no_text(tmp_path, capsys):
    with run_log(tmp_path):
        logging.getLogger("pyama_core.test").warning("reading %s", ODD)
    text = (tmp_path / "pyama.log").read_text(encoding="utf-8")
    assert "reading M\\udcfcller \\ud800" in text
    assert "Logging error" not in capsys.readouterr().err


# The command


def pyama(*words: object, **options) -> subprocess.CompletedProcess[bytes]:
    command = [*PYAMA, *(word if isinstance(word, bytes) else str(word) for word in words)]
    return subprocess.run(command, capture_output=True, timeout=120, check=False, **options)


@pytest.mark.slow
@bytes_only
def test_a_file_whose_name_is_not_utf8_is_run_once_and_verified(tmp_path):
    image = os.fsencode(write_named(tmp_path, os.fsdecode(b"\xfcbung")))
    out = os.fsencode(tmp_path) + b"/Ergebnisse f\xfcr"
    methods = ["--segmentation", "log-std", "--tracking", "iou", "--workers", "1"]
    words = ["run", image, "-o", out, "--pc", "phase", "--fl", "gfp", *methods]
    first, second = pyama(*words), pyama(*words)
    for result in (first, second, pyama("verify", out), pyama("status", out)):
        assert result.returncode == 0, result
        for stream in (result.stdout, result.stderr):
            assert b"Logging error" not in stream
            assert b"Traceback" not in stream
            stream.decode()
    assert b"1 done" in first.stdout
    assert b"1 skipped" in second.stdout
    log = Path(os.fsdecode(out), "pyama.log").read_text(encoding="utf-8")
    assert "\\udcfcbung.ome.tif" in log
    found = json.loads(pyama("inspect", image, "--json").stdout)
    assert os.fsencode(found["file_path"]) == image


@bytes_only
def test_names_in_a_folder_of_images_need_not_be_utf8(tmp_path):
    folder = tmp_path / os.fsdecode(b"f\xfc")
    folder.mkdir()
    for t, frame in enumerate(rough_squares(2, 64, [(10, 10)])):
        for channel, pixels in zip((b"\xe4", b"b"), frame, strict=True):
            name = os.fsdecode(b"img_00000000%d_%s_000.tif" % (t, channel))
            tifffile.imwrite(tmp_path / "x.tif", pixels)
            (tmp_path / "x.tif").rename(folder / name)
    metadata = metadata_of(folder)
    assert metadata.base_name == "f%FC"
    channels = Channels(pc=os.fsdecode(b"\xe4"), fl=["b"])
    context = ProcessingContext(tmp_path / "out", channels, params=exact())
    assert run_workflow(metadata, context, n_workers=1).ok
    assert context.channels == Channels(pc=1, fl=[0])
    shown = pyama("inspect", os.fsencode(folder))
    assert (shown.returncode, b"\\udce4" in shown.stdout) == (0, True)


@bytes_only
def test_the_library_for_czi_is_not_blamed_on_the_file(tmp_path, shared_data):
    path = tmp_path / os.fsdecode(b"\xfc.czi")
    path.symlink_to(shared_data / "czi" / "WellD6-7_S2.czi")
    with pytest.raises(InputError, match="bytes that are not UTF-8; rename the file or folder"):
        metadata_of(path)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_terminal_that_lacks_characters_shows_which(tmp_path, encoding):
    pixels = rough_squares(2, 64, [(10, 10)])
    path = write_movie(tmp_path / "m.ome.tif", [pixels], ["Ω µ", "GFP"], 1.0)
    shown = pyama("inspect", path, env={**os.environ, "PYTHONIOENCODING": encoding})
    assert (shown.returncode, b"Traceback" in shown.stderr) == (0, False)
    expected = {"ascii": "\\u03a9 \\xb5", "cp1252": "\\u03a9 µ", "utf-8": "Ω µ"}[encoding]
    assert expected in shown.stdout.decode(encoding)


def test_a_run_may_write_as_many_names_as_the_longest(tmp_path):
    """The longest base name that is kept as it is leaves room for all that a run writes."""
    movie = np.stack([rough_squares(2, 64, [(10, 10)])])[0]
    path = write_movie(tmp_path / "m.ome.tif", [movie], ["Phase", "GFP"], 1.0)
    metadata = dataclasses.replace(metadata_of(path), base_name="n" * 211)
    context = ProcessingContext(tmp_path / "out", Channels(pc=0, fl=[1]), params=exact())
    assert run_workflow(metadata, context, n_workers=1).ok
