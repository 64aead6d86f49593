from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import psutil
import pytest
import yaml
from typer.testing import CliRunner

import pyama_core.__main__
from movies import rough_squares, write_movie
from pyama_core.cli.app import app
from pyama_core.cli.inspect import estimate_output_bytes
from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.processing.workflow.configuration import RunConfig, load_config
from runs import data_files, describe, inodes, made_files

posix_only = pytest.mark.skipif(os.name == "nt", reason="signals and terminals of POSIX")
PYAMA = [sys.executable, "-m", "pyama_core"]
CHANNELS = ["--pc", "0", "--fl", "1", "--fl", "2"]


def pyama(*words: object):
    """Run the command in this process."""
    return CliRunner().invoke(app, [str(word) for word in words])


def run_words(demo, folder: Path, *more: object) -> list[str]:
    words = ["run", demo.image, "-o", folder, *CHANNELS, "--workers", "1", *more]
    return [str(word) for word in words]


@pytest.fixture(scope="module")
def first_run(demo, tmp_path_factory):
    """Output folder and result of a run of FOVs 0 and 1, in a folder with an awkward name."""
    folder = tmp_path_factory.mktemp("cli") / "Ergebnisse für München (1)"
    result = pyama(*run_words(demo, folder, "--fovs", "0-1"))
    assert result.exit_code == 0, result.output
    return folder, result


@pytest.fixture
def finished(first_run, tmp_path):
    """A copy of the finished output folder, times of files included."""
    return shutil.copytree(first_run[0], tmp_path / "out")


def flip_a_bit(path: Path) -> None:
    """Change a file, but neither its size nor its time."""
    status, content = path.stat(), bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


# Help


def test_ctrl_c_while_the_command_is_being_imported_ends_it_without_a_traceback(monkeypatch):
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pyama_core.cli.app.main", interrupt)
    with pytest.raises(SystemExit) as stopped:
        pyama_core.__main__.main()
    assert stopped.value.code == 130


def test_help_imports_nothing_heavy():
    code = """
import sys
from pyama_core.cli.app import main
sys.argv = ["pyama", "--help"]
try:
    main()
except SystemExit:
    heavy = {"numpy", "numba", "cv2", "pandas", "scipy", "pydantic", "nd2", "tifffile", "rich"}
    print("HEAVY", sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []"


@pytest.mark.parametrize("command", ["demo", "inspect", "run", "status", "verify"])
def test_every_command_has_help_and_is_in_the_list(command):
    assert command in pyama("--help").stdout
    result = pyama(command, "--help")
    assert result.exit_code == 0
    assert "--debug" in result.stdout


@pytest.mark.parametrize("words", [["frobnicate"], ["run", "--nonsense"], ["inspect"]])
def test_words_that_are_no_command_are_bad_input(words):
    result = pyama(*words)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


# demo and inspect


def test_demo_writes_the_experiment_and_says_what_to_do_next(tmp_path):
    result = pyama("demo", tmp_path / "d", "--fovs", 1, "--frames", 2, "--size", 64)
    assert result.exit_code == 0
    assert (tmp_path / "d" / "demo.ome.tif").is_file()
    assert (tmp_path / "d" / "truth" / "tracks.csv").is_file()
    line = result.stdout.splitlines()[-1]
    assert "pyama run" in line
    assert "--pc 0 --fl 1 --fl 2" in line


def test_inspect_shows_what_a_user_must_know(demo):
    result = pyama("inspect", demo.image)
    assert result.exit_code == 0
    for words in ("GFP", "mCherry", "256 × 256", "uint16", "0.65 µm", "every 5 min", "FOVs"):
        assert words in result.stdout


def test_inspect_as_json_is_one_document_with_the_fields_of_the_metadata(demo):
    result = pyama("inspect", demo.image, "--json")
    assert result.exit_code == 0
    found, metadata = json.loads(result.stdout), describe(demo)
    assert {field.name for field in dataclasses.fields(MicroscopyMetadata)} <= set(found)
    assert (found["n_fovs"], found["n_frames"], found["n_channels"]) == (3, 10, 3)
    assert found["channel_names"] == list(metadata.channel_names)
    assert found["timepoints"] == [list(row) for row in metadata.timepoints]
    assert found["estimated_output_bytes"] == estimate_output_bytes(metadata)


# run


def test_a_run_says_what_it_does_in_plain_lines_and_where_the_results_are(first_run):
    folder, result = first_run
    results, report = result.stdout.splitlines()
    assert results == f"FOVs: 2 done; see {folder / 'processing_results.yaml'}"
    assert re.fullmatch(r"(Both|1 of 2|0 of 2) positions (is|are) fine.*; see .*", report)
    assert report.endswith(f"; see {folder / 'report.html'}")
    assert (folder / "report.html").stat().st_size > 100_000
    for words in ("FOV 1: segmentation: 10/10", "cells tracked", "2 of 2 FOVs, 100 %"):
        assert words in result.stderr
    assert "\x1b" not in result.output
    assert len(data_files(folder)) == 22


def test_a_second_run_does_nothing(demo, finished):
    before = inodes(finished, "*_ch_*")
    (finished / "report.html").unlink()
    result = pyama(*run_words(demo, finished, "--fovs", "0,1", "--no-report"))
    assert not (finished / "report.html").exists()
    assert result.exit_code == 0
    assert "2 skipped" in result.stdout
    assert inodes(finished, "*_ch_*") == before


@pytest.mark.usefixtures("works_inline")
def test_an_interval_gives_the_times_that_the_file_does_not_know(tmp_path):
    image = write_movie(tmp_path / "m.ome.tif", [rough_squares(3, 64, [(10, 10)])], ["a", "b"])
    words = ["run", image, "-o", tmp_path / "out", "--pc", "a", "--fl", "b"]
    result = pyama(*words)
    assert result.exit_code == 0
    assert "warning: " in result.stderr
    assert "--interval" in result.stderr
    (path,) = (tmp_path / "out").rglob("*_traces_*.csv")
    assert pd.read_csv(path).time.isna().all()
    assert pyama(*words, "--interval", "2.5").exit_code == 0
    assert sorted(pd.read_csv(path).time.unique()) == [0.0, 2.5, 5.0]


@pytest.mark.usefixtures("works_inline")
def test_a_failed_position_is_told_in_the_exit_code_the_status_and_the_next_run(demo, tmp_path):
    obstacle = tmp_path / "out" / "fov_001" / "demo_fov_001_fl_corrected_ch_1.npy"
    obstacle.mkdir(parents=True)
    result = pyama(*run_words(demo, tmp_path / "out", "--fovs", "0-1"))
    assert result.exit_code == 1
    assert "1 done, 1 failed" in result.stdout
    assert "FOV 1, correction: " in result.stderr
    assert "run the same command again" in result.stderr
    assert "Traceback" not in result.output

    shown = pyama("status", tmp_path / "out")
    assert shown.exit_code == 1
    assert "failed" in shown.stdout
    found = json.loads(pyama("status", tmp_path / "out", "--json").stdout)["fovs"]
    assert found["0"]["status"] == "done"
    assert found["1"]["status"] == "failed"
    assert found["1"]["steps"] == {
        "copying": "done",
        "segmentation": "done",
        "correction": "failed",
        "tracking": "done",
        "nuclei": "not asked for",
        "extraction": "missing",
    }
    assert obstacle.name in found["1"]["failure"]["error"]

    obstacle.rmdir()
    result = pyama(*run_words(demo, tmp_path / "out", "--fovs", "0-1"))
    assert result.exit_code == 0
    assert "1 done, 1 skipped" in result.stdout


BAD_INPUT = {
    "no file": (["--pc", 0, "--fl", 1, "-o", "{out}"], "no microscope file"),
    "absent file": (["{tmp}/none.nd2", "--pc", 0, "--fl", 1, "-o", "{out}"], "does not exist"),
    "no image": (["{tmp}/text.csv", "--pc", 0, "--fl", 1, "-o", "{out}"], "text.csv"),
    "folder": (["{tmp}", "--pc", 0, "--fl", 1, "-o", "{out}"], "is a folder"),
    "no output": (["{image}", "--pc", 0, "--fl", 1], "add -o DIR"),
    "output is file": (["{image}", "--pc", 0, "--fl", 1, "-o", "{tmp}/text.csv"], "is a file"),
    "output in file": (["{image}", "--pc", 0, "--fl", 1, "-o", "{tmp}/text.csv/x"], "text.csv"),
    "no channels": (["{image}", "-o", "{out}"], "0 (phase contrast), 1 (GFP), 2 (mCherry)"),
    "no fl": (["{image}", "--pc", 0, "-o", "{out}"], "--pc and --fl"),
    "unknown channel": (["{image}", "--pc", 0, "--fl", "RFP", "-o", "{out}"], "'RFP'"),
    "channel number": (["{image}", "--pc", 0, "--fl", 3, "-o", "{out}"], "no channel 3"),
    "superscript": (["{image}", "--pc", 0, "--fl", "²", "-o", "{out}"], "no channel '²'"),
    "twice": (["{image}", "--pc", 0, "--fl", 1, "--fl", "GFP", "-o", "{out}"], "twice"),
    "position": (["{image}", *CHANNELS, "-o", "{out}", "--fovs", "0,3"], "no FOV 3"),
    "positions": (["{image}", *CHANNELS, "-o", "{out}", "--fovs", "x"], "--fovs: expected names, "),
    "workers": (["{image}", *CHANNELS, "-o", "{out}", "--workers", "0"], "--workers: "),
    "batches": (["{image}", *CHANNELS, "-o", "{out}", "--batch-size", "-1"], "--batch-size: "),
    "interval": (["{image}", *CHANNELS, "-o", "{out}", "--interval", "nan"], "--interval (extra"),
    "plane": (["{image}", *CHANNELS, "-o", "{out}", "--z", "1"], "z"),
    "config": (["{image}", *CHANNELS, "-o", "{out}", "--config", "{tmp}/no.yaml"], "no.yaml"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_one_or_two_lines_and_nothing_is_touched(demo, tmp_path, case):
    words, expected = BAD_INPUT[case]
    (tmp_path / "text.csv").write_text("a,b\n1,2\n")
    places = {"image": demo.image, "tmp": tmp_path, "out": tmp_path / "out"}
    result = pyama("run", *[str(word).format(**places) for word in words])
    assert result.exit_code == 2
    assert expected in result.stderr
    assert result.stdout == ""
    assert 1 <= len(result.stderr.splitlines()) <= 2
    assert "Traceback" not in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["text.csv"]


def test_pixels_that_no_algorithm_takes_are_bad_input(tmp_path):
    pixels = rough_squares(2, 64, [(10, 10)]).astype("int8")
    image = write_movie(tmp_path / "m.ome.tif", [pixels], ["a", "b"], 1.0)
    result = pyama("run", image, "-o", tmp_path / "out", "--pc", 0, "--fl", 1)
    assert result.exit_code == 2
    assert "pixels of int8, expected one of bool, uint8" in result.stderr
    assert not (tmp_path / "out").exists()


def test_debug_shows_the_traceback(tmp_path):
    for debug in (False, True):
        result = pyama("inspect", tmp_path / "none.nd2", *(["--debug"] if debug else []))
        assert result.exit_code == 2
        assert ("Traceback" in result.stderr) == debug


def test_results_of_another_file_are_refused(finished, tmp_path):
    pixels = rough_squares(2, 64, [(10, 10)])
    image = write_movie(tmp_path / "demo.ome.tif", [pixels], ["a", "b"], 1.0)
    before = data_files(finished)
    result = pyama("run", image, "-o", finished, "--pc", 0, "--fl", 1)
    assert result.exit_code == 2
    assert "choose another output folder" in result.stderr
    assert data_files(finished) == before


# The configuration


def test_a_configuration_holds_what_the_flags_hold_and_flags_win(demo, finished, tmp_path):
    config = tmp_path / "run.yaml"
    content = {
        "file": str(demo.image),
        "output": str(finished),
        "channels": {"pc": "phase contrast", "fl": ["GFP", 2]},
        "fovs": "0-2",
        "workers": 1,
        "tracking": {"min_iou": 0.1},
    }
    config.write_text(yaml.safe_dump(content), encoding="utf-8")
    result = pyama("run", "--config", config, "--fovs", "1")
    assert result.exit_code == 0
    assert "1 skipped" in result.stdout
    config.write_text(yaml.safe_dump({**content, "trackin": {}}), encoding="utf-8")
    result = pyama("run", "--config", config)
    assert result.exit_code == 2
    assert "did you mean 'tracking'" in result.stderr


@pytest.mark.parametrize(
    ("words", "name"),
    [([], "run.yaml"), (["--config", "mine.yaml"], "mine.yaml"), (["mine.yml"], "mine.yml")],
)
def test_a_written_configuration_is_the_default_one(tmp_path, monkeypatch, words, name):
    monkeypatch.chdir(tmp_path)
    result = pyama("run", "--write-config", *words)
    assert result.exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert load_config(tmp_path / name, {}) == RunConfig()
    before = (tmp_path / name).read_bytes()
    result = pyama("run", "--write-config", *words)
    assert result.exit_code == 2
    assert "exists already" in result.stderr
    assert (tmp_path / name).read_bytes() == before


def test_a_written_configuration_holds_what_was_typed_and_runs(demo, finished, tmp_path):
    config = tmp_path / "run.yaml"
    written = pyama(
        *run_words(demo, finished, "--fovs", "0,1"), "--write-config", "--config", config
    )
    assert written.exit_code == 0
    result = pyama("run", "--config", config)
    assert result.exit_code == 0, result.stderr
    assert "2 skipped" in result.stdout


# status and verify


def test_status_shows_done_and_missing_and_the_settings(finished):
    (finished / "fov_001" / "demo_fov_001_traces_ch_2.csv").unlink()
    with (finished / "fov_001" / "demo_fov_001_seg_ch_0.npy").open("r+b") as file:
        file.truncate(1000)
    found = json.loads(pyama("status", finished, "--json").stdout)
    assert found["fovs"]["0"]["status"] == "done"
    assert found["fovs"]["1"]["status"] == "missing"
    assert found["fovs"]["1"]["steps"]["extraction"] == "missing"
    assert found["fovs"]["1"]["steps"]["segmentation"] == "missing"
    assert found["fovs"]["1"]["steps"]["tracking"] == "done"
    output = found["fovs"]["0"]["outputs"]["demo_fov_000_seg_ch_0.npy"]
    assert output["parameters"]["method"] == "instances"
    assert Path(output["path"]).is_file()
    shown = pyama("status", finished)
    assert shown.exit_code == 1
    for words in ("done", "missing", "method: lineage", "all FOVs"):
        assert words in shown.stdout


def test_verify_passes_what_is_whole(finished):
    result = pyama("verify", finished)
    assert (result.exit_code, result.stderr) == (0, "")


def test_verify_names_a_flipped_bit_a_missing_and_a_cut_file(finished):
    flip_a_bit(finished / "fov_000" / "demo_fov_000_fl_corrected_ch_2.npy")
    (finished / "fov_001" / "demo_fov_001_seg_ch_0.npy").unlink()
    with (finished / "fov_001" / "demo_fov_001_pc_ch_0.npy").open("r+b") as file:
        file.truncate(1000)
    result = pyama("verify", finished)
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("fov_000/demo_fov_000_fl_corrected_ch_2.npy: its content differs")
    assert lines[1].startswith("fov_001/demo_fov_001_pc_ch_0.npy: expected ")
    assert lines[2] == "fov_001/demo_fov_001_seg_ch_0.npy: missing"
    assert "3 damaged" in lines[3]


@pytest.mark.usefixtures("works_inline")
def test_check_makes_a_flipped_bit_good_again(demo, first_run, finished):
    flip_a_bit(finished / "fov_000" / "demo_fov_000_seg_ch_0.npy")
    words = run_words(demo, finished, "--fovs", "0-1")
    assert "2 skipped" in pyama(*words).stdout
    result = pyama(*words, "--check")
    assert result.exit_code == 0
    assert "1 done, 1 skipped" in result.stdout
    assert "checksum" in result.stderr
    assert made_files(finished) == data_files(first_run[0])


def test_a_damaged_record_is_told_by_status_and_verify(finished):
    (finished / "fov_001" / "demo_fov_001_record.json").write_text("{")
    result = pyama("verify", finished)
    assert result.exit_code == 1
    assert "fov_001/demo_fov_001_record.json: the record is damaged" in result.stderr
    shown = pyama("status", finished)
    assert shown.exit_code == 1
    assert "damaged" in shown.stdout
    assert json.loads(pyama("status", finished, "--json").stdout)["fovs"]["0"]["status"] == "done"


@pytest.mark.parametrize("command", ["status", "verify"])
def test_a_folder_without_results_is_bad_input(tmp_path, command):
    assert pyama(command, tmp_path).exit_code == 2
    result = pyama(command, tmp_path / "none")
    assert result.exit_code == 2
    assert result.stderr == f"error: there is no folder {tmp_path / 'none'}\n"


# A real process


def test_a_real_process_keeps_json_on_stdout_and_errors_on_stderr(demo, tmp_path):
    done = subprocess.run(
        [*PYAMA, "inspect", str(demo.image), "--json"], capture_output=True, timeout=60, check=True
    )
    assert json.loads(done.stdout)["n_fovs"] == 3
    bad = subprocess.run(
        [*PYAMA, "inspect", str(tmp_path / "nö.nd2"), "--json"],
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (bad.returncode, bad.stdout) == (2, b"")
    assert len(bad.stderr.splitlines()) == 1


def interrupted(demo, folder: Path, *signals: signal.Signals) -> tuple[int, str]:
    """Start a run, send signals once it copies; exit code and the rest of standard error."""
    words = run_words(demo, folder, "--batch-size", "1", "--fovs", "0-1")
    with subprocess.Popen(
        [*PYAMA, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        while "copying" not in (line := process.stderr.readline()):
            assert line, "the run ended before it copied"
        children = psutil.Process(process.pid).children(recursive=True)
        for number in signals:
            process.send_signal(number)
            while "stopping" not in (line := process.stderr.readline()) and line:
                pass
        _, rest = process.communicate(timeout=30)
        _, alive = psutil.wait_procs(children, timeout=5)
        assert alive == []
        return process.returncode, rest


def complete(demo, first_run, folder: Path) -> None:
    """Finish an interrupted run, which must then be as if nothing had happened."""
    assert pyama(*run_words(demo, folder, "--fovs", "0-1")).exit_code == 0
    assert data_files(folder) == data_files(first_run[0])
    assert not list(folder.rglob(".*"))


@pytest.mark.slow
@posix_only
def test_ctrl_c_stops_a_run_which_the_next_one_completes(demo, first_run, tmp_path):
    code, rest = interrupted(demo, tmp_path / "out", signal.SIGINT)
    assert code == 130
    assert "Traceback" not in rest
    assert "run the same command again to go on from here" in rest
    assert not list((tmp_path / "out").rglob(".*"))
    complete(demo, first_run, tmp_path / "out")


@posix_only
def test_a_request_to_terminate_is_as_ctrl_c(demo, tmp_path):
    code, rest = interrupted(demo, tmp_path / "out", signal.SIGTERM)
    assert code == 130
    assert "Traceback" not in rest
    assert not list((tmp_path / "out").rglob(".*"))


@pytest.mark.slow
@posix_only
def test_ctrl_c_twice_ends_a_run_at_once_and_the_next_one_sweeps(demo, first_run, tmp_path):
    code, rest = interrupted(demo, tmp_path / "out", signal.SIGINT, signal.SIGINT)
    assert code == 130
    assert "Traceback" not in rest
    complete(demo, first_run, tmp_path / "out")


@pytest.mark.slow
@posix_only
def test_a_reader_that_goes_away_does_not_end_the_run(demo, tmp_path):
    reading, writing = os.pipe()
    with subprocess.Popen(
        [*PYAMA, *run_words(demo, tmp_path / "out", "--fovs", "0")],
        stdout=subprocess.DEVNULL,
        stderr=writing,
    ) as process:
        os.close(writing)
        os.close(reading)
        assert process.wait(60) == 0
    assert len(data_files(tmp_path / "out")) == 11


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="pseudo-terminals of Linux")
def test_a_terminal_shows_bars(demo, tmp_path):
    import pty

    main_end, far_end = pty.openpty()
    shown = b""
    with subprocess.Popen(
        [*PYAMA, *run_words(demo, tmp_path / "out", "--fovs", "2")],
        stdin=far_end,
        stdout=far_end,
        stderr=far_end,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"},
    ) as process:
        os.close(far_end)
        try:
            while part := os.read(main_end, 65536):
                shown += part
        except OSError:  # EIO: the process has closed its end
            pass
        finally:
            os.close(main_end)
        assert process.wait(60) == 0
    text = shown.decode()
    assert "\x1b[" in text
    assert "all FOVs" in text
    assert "FOV 2: " in text
    assert "Traceback" not in text
    assert "FOVs: 1 done" in text
