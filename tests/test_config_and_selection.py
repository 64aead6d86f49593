from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pyama_core.cli.run import Flags
from pyama_core.errors import InputError
from pyama_core.processing.workflow.configuration import RunConfig, commented_yaml, load_config
from pyama_core.processing.workflow.services.parameters import StepParameters, validate_params

pytestmark = pytest.mark.usefixtures("workers_inline")


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "run.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# The configuration


def test_an_empty_file_and_empty_sections_are_the_defaults(tmp_path):
    for text in ("", "# nothing\n", "segmentation:\nworkers:\nchannels:\n", "{}"):
        assert load_config(written(tmp_path, text), {}) == RunConfig()


def test_what_is_typed_wins_over_the_file_and_the_file_over_defaults(tmp_path):
    path = written(
        tmp_path,
        "workers: 3\nbatch_size: 5\nchannels: {pc: phase, fl: [GFP, 2]}\n"
        "extraction: {min_frames: 4, interval_minutes: 9}\n"
        "segmentation: {method: log-std, n_sigma: 2.5}\n",
    )
    flags = Flags(workers=1, fl=["mCherry"], interval=2.0, output=Path("out"))
    config = load_config(path, flags.as_config())
    assert (config.workers, config.batch_size, config.output) == (1, 5, "out")
    chosen = config.channels.model_dump(exclude_none=True)
    assert chosen == {"pc": "phase", "fl": ["mCherry"]}
    typed = config.extraction.model_dump(exclude_unset=True)
    assert typed == {"min_frames": 4, "interval_minutes": 2.0}
    assert config.segmentation.n_sigma == 2.5
    assert config.tracking == RunConfig().tracking
    assert config.extraction.min_frames == 4
    assert config.extraction.features == ("shape", "intensity")


def test_nothing_typed_changes_nothing():
    assert Flags().as_config() == {}
    assert load_config(None, Flags().as_config()) == RunConfig()


@pytest.mark.parametrize(("typed", "expected"), [("max", "max"), ("0", 0), ("3", 3)])
def test_a_plane_is_typed_as_a_number_or_max(typed, expected):
    assert load_config(None, Flags(z=typed).as_config()).copying.z == expected


@pytest.mark.parametrize("typed", ["-1", "²", "middle", "1.5", ""])
def test_another_plane_is_refused_by_the_flag(typed):
    flags = Flags(z=typed)
    with pytest.raises(InputError, match=r"^--z: "):
        load_config(None, flags.as_config(), flags.names())


UNKNOWN = [
    ("workrs: 2", "unknown key 'workrs'; did you mean 'workers'?"),
    ("segmentaton: {}", "did you mean 'segmentation'?"),
    (
        "segmentation: {method: log-std, n_sigm: 2}",
        "unknown key 'segmentation.n_sigm'; did you mean 'n_sigma'?",
    ),
    ("channels: {phase: 0}", "unknown key 'channels.phase'; known are fl, nuclei, pc"),
    ("tracking: {method: iou, xyzzy: 1}", "known are method, min_iou"),
]


@pytest.mark.parametrize(("text", "words"), UNKNOWN)
def test_an_unknown_key_names_the_file_and_the_nearest_known_key(tmp_path, text, words):
    with pytest.raises(InputError) as caught:
        load_config(written(tmp_path, text), {})
    assert words in str(caught.value)
    assert "run.yaml: " in str(caught.value)


BAD_VALUES = [
    ("workers: 0", "workers: "),
    ("workers: two", "workers: "),
    ("batch_size: -1", "batch_size: "),
    ("fovs: {a: 1}", "fovs: input should be a valid string"),
    ("fovs: [[0]]", "fovs: input should be a valid string"),
    ("channels: GFP", "channels: "),
    ("channels: {fl: GFP}", "channels.fl: "),
    ("channels: {pc: [1]}", "channels.pc: "),
    ("segmentation: {method: otsu}", "Expected a segmentation method out of"),
    ("segmentation: {method: log-std, square_size: 6}", "segmentation.square_size: "),
    ("segmentation: {method: log-std, n_sigma: .nan}", "segmentation.n_sigma: "),
    ("tracking: {min_iou: 0}", "tracking.min_iou: "),
    ("tracking: 5", "tracking: "),
    ("correction: {tile_size: -3}", "correction.tile_size: "),
    ("extraction: {interval_minutes: .inf}", "extraction.interval_minutes: "),
    ("extraction: {min_frames: 0}", "extraction.min_frames: "),
    ("copying: {z: -1}", "copying.z: "),
    ("1: 2", "1: "),
    ("- 1", "expected keys and values, found list"),
    ("hello", "expected keys and values, found str"),
]


@pytest.mark.parametrize(("text", "words"), BAD_VALUES)
def test_a_bad_value_is_named_by_file_and_key_in_one_line(tmp_path, text, words):
    with pytest.raises(InputError) as caught:
        load_config(written(tmp_path, text), {})
    message = str(caught.value)
    assert f"run.yaml: {words}" in message
    assert "\n" not in message
    assert "pydantic" not in message


NOT_PLAIN = {
    "tag": "!!python/object/apply:os.system ['touch harmed']",
    "own tag": "workers: !env HOME",
    "alias": "a: &a [1]\nb: *a",
    "bomb": "a: &a [x, x]\n"
    + "".join(f"{c}: &{c} [*{p}, *{p}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)),
    "merge": "a: &a {x: 1}\nb: {<<: *a}",
    "depth": "[" * 5000,
    "open": "workers: [",
    "two documents": "workers: 1\n---\nworkers: 2\n",
    "no month": "output: 2024-13-45",
    "long number": f"workers: {'9' * 5000}",
    "unhashable": "? [a]\n: 1\n",
    "no text": b"\x80\xff",
    "zero byte": b"workers: \x00",
}


@pytest.mark.parametrize("text", NOT_PLAIN.values(), ids=NOT_PLAIN)
def test_what_is_not_plain_yaml_is_refused_at_once_with_the_file(tmp_path, text):
    started = time.monotonic()
    with pytest.raises(InputError, match=r"run\.yaml is not valid YAML: ") as caught:
        load_config(written(tmp_path, text), {})
    assert "\n" not in str(caught.value)
    assert time.monotonic() - started < 10
    assert [path.name for path in tmp_path.iterdir()] == ["run.yaml"]


def test_a_huge_file_a_folder_and_no_file_are_refused(tmp_path):
    huge = written(tmp_path, b"# " + b"x" * (1 << 20))
    for path, words in (
        (huge, "expected at most 1 MB"),
        (tmp_path, "cannot read"),
        (tmp_path / "none.yaml", "cannot read .*none.yaml: No such file"),
    ):
        with pytest.raises(InputError, match=words):
            load_config(path, {})


CONFIGS = st.builds(
    RunConfig,
    file=st.none()
    | st.text(st.characters(codec="utf-8", exclude_categories=["C"])).filter(str.strip),
    output=st.none() | st.sampled_from(["out", "mit Umläuten/ä ö", "a: b", "#x", "no", "1"]),
    channels=st.fixed_dictionaries(
        {
            "pc": st.none() | st.integers(0, 9) | st.sampled_from(["phase", "1", "yes", "Ö µ"]),
            "fl": st.lists(st.integers(0, 9) | st.sampled_from(["GFP", "0", "null", "~"])),
        }
    ),
    fovs=st.sampled_from(["all", "0-3,7", 5, "5", ["A1", "02", "no"]]),
    workers=st.none() | st.integers(1, 99),
    check=st.booleans(),
    tracking=st.fixed_dictionaries({"min_iou": st.floats(0.01, 1)}),
    extraction=st.fixed_dictionaries({"interval_minutes": st.none() | st.floats(1e-9, 1e9)}),
)


@settings(max_examples=100, deadline=None)
@given(config=CONFIGS)
def test_a_written_configuration_reads_back(tmp_path_factory, config):
    path = written(tmp_path_factory.mktemp("config"), commented_yaml(config))
    assert load_config(path, {}) == config


def test_the_commented_configuration_explains_every_key():
    lines = commented_yaml(RunConfig()).splitlines()
    parsed = yaml.safe_load("\n".join(lines))
    for section in StepParameters.model_fields:
        assert set(parsed[section]) == set(RunConfig().steps().as_plain_data()[section])
    for above, line in pairwise(lines):
        stripped = line.strip()
        if stripped and not stripped.startswith("#") and not stripped.endswith(":"):
            assert above.strip().startswith("#"), f"{line!r} has no comment"


def test_parameters_are_validated_the_same_way_without_a_file():
    assert validate_params(None) == StepParameters()
    assert validate_params({"tracking": {"min_iou": 0.5}}).tracking.min_iou == 0.5
    with pytest.raises(InputError, match="did you mean 'tracking'"):
        validate_params({"traking": {}})
