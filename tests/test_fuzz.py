"""Damaged files and damaged settings end in a result or in one clear error."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz import Findings, fuzz
from pyama_core.demo import write_demo
from pyama_core.errors import InputError
from pyama_core.processing.workflow.configuration import RunConfig, commented_yaml, load_config

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")


def real_files(shared_data: Path) -> list[Path]:
    files = sorted((shared_data / "nd2").glob("*.nd2"))
    files += sorted((shared_data / "incucyte").glob("*_00d00h00m.tif"))
    return [*files, *sorted((shared_data / "czi").glob("Well*.czi"))]


def test_damaged_tiffs_are_read_or_refused(tmp_path):
    files = [
        write_demo(tmp_path / f"demo {fovs}", fovs=fovs, frames=3, size=64, seed=fovs).image
        for fovs in (1, 2)
    ]
    findings = fuzz(files, 0, 150)
    assert findings.faults == []
    assert set(findings.ends) >= {"read", "refused"}


def test_damaged_real_files_are_read_or_refused(shared_data):
    assert fuzz(real_files(shared_data), 1000, 100).faults == []


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.timeout(3000)
def test_thousands_of_damaged_real_files_are_read_or_refused(shared_data):
    findings = fuzz(real_files(shared_data), 10_000, 3000)
    assert findings == Findings(findings.ends, [])


TEXT = yaml.safe_dump(yaml.safe_load(commented_yaml(RunConfig())))


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_configuration_is_read_or_refused_in_a_line_or_two(data, tmp_path):
    where = data.draw(st.integers(0, len(TEXT)))
    length = data.draw(st.integers(0, 20))
    inserted = data.draw(
        st.one_of(st.text(max_size=10), st.sampled_from(["&a ", "*a", "!!python/name:os ", "- "]))
    )
    path = tmp_path / "run.yaml"
    path.write_text(TEXT[:where] + inserted + TEXT[where + length :], encoding="utf-8")
    assert lines_of_complaint(path) <= 2


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=st.binary(max_size=200))
def test_a_configuration_of_any_bytes_is_read_or_refused(content, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_bytes(content)
    assert lines_of_complaint(path) <= 2


def lines_of_complaint(path: Path) -> int:
    """Read a configuration; how many lines the refusal has, 0 if there is none."""
    try:
        load_config(path, {})
    except InputError as error:
        return len(str(error).splitlines()) or 1000
    return 0
