"""`pyama status`, `pyama verify` and `pyama release`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pyama_core.cli.streams import echo
from pyama_core.io.frame_ranges import format_ranges
from pyama_core.io.titles import titled
from pyama_core.outputs import NUCLEI, step_names
from pyama_core.processing.workflow.doubts import About
from pyama_core.processing.workflow.misplaced import find_misplaced
from pyama_core.processing.workflow.release import parse_kinds, release_stacks
from pyama_core.processing.workflow.status import describe_folder, find_changed_files, verify_folder


def show(folder: Path, *, as_json: bool) -> int:
    """Show what is done, failed and missing."""
    described = describe_folder(folder)
    statuses = {found["status"] for found in described["fovs"].values()}
    is_complete = statuses <= {"done"} and not described["not_begun"]
    if as_json:
        echo(json.dumps(described, indent=1))
        return 0 if is_complete else 1
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = _steps_shown(described)
    table = Table(
        "FOV", "status", *shown, "good cells", title=Text(str(folder)), title_justify="left"
    )
    for fov, found in described["fovs"].items():
        steps = found.get("steps", {})
        states = (steps.get(step, "") for step in shown)
        # Text: what stands in brackets in a name is not for rich to interpret.
        table.add_row(Text(_title(fov, found)), found["status"], *states, _cells(found))
    # Without a terminal there is no width to keep to.
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    for number, found in described["fovs"].items():
        fov = _title(number, found)
        if failure := found.get("failure"):
            step = failure["step"]
            reason = failure["error"].removeprefix(f"FOV {number}, {step}: ")
            echo(f"FOV {fov}: failed in {step}: {reason}")
        for channel, missing in found.get("missing_frames", {}).items():
            title = _channel_title(channel, found)
            echo(f"FOV {fov}: channel {title} lacks the frames {missing}")
        for reason in sorted(set(found.get("changed_files", {}).values())):
            echo(f"FOV {fov}: {reason}; pyama run makes anew what depends on it")
        for reason in sorted(set(found.get("unknown_files", {}).values())):
            echo(f"FOV {fov}: cannot tell whether it is up to date: {reason}")
        for channel, reason in found.get("uncorrected", {}).items():
            title = _channel_title(channel, found)
            echo(f"FOV {fov}: channel {title} is not corrected: {reason}")
        if found.get("no_cells"):
            echo(f"FOV {fov}: no cells in any frame")
        for doubt in found.get("doubts", []):
            if doubt["about"] != About.NOTHING:
                echo(f"FOV {fov}: {doubt['text']}; {doubt['advice']}")
        for words in found.get("compartments", []):
            if words not in {doubt["text"] for doubt in found["doubts"]}:
                echo(f"FOV {fov}: {words}")
        for name in found.get("kept_aside", []):
            echo(f"FOV {fov}: kept beside its outputs, for somebody changed it: {name}")
        if counts := found.get("edits"):
            stale = f", {counts['stale']} of them stale" if counts["stale"] else ""
            told = f"{counts['edits']} corrections{stale}"
            echo(f"FOV {fov}: {told}; pyama curate --list shows them")
        if found.get("in_use_by"):
            holder = found["in_use_by"]
            echo(f"FOV {fov}: in use by process {holder['pid']} on {holder['host']}")
    if described["not_begun"]:
        echo(f"not begun: FOVs {format_ranges(described['not_begun'])}")
    for place, why in described["misplaced"].items():
        echo(f"{place}: {why}")
    if unlike := described["unlike_diameters"]:
        for fov, diameter in unlike["of_fov"].items():
            typical = f"{unlike['typical']:.0f}"
            title = _title(str(fov), described["fovs"][str(fov)])
            echo(f"FOV {title}: cells taken for {diameter} px, in most for {typical} px")
    for number, n_objects in described["unlike_counts"].items():
        title = _title(str(number), described["fovs"][str(number)])
        echo(f"FOV {title}: {n_objects} objects in a frame, far from the number in the others")
    _show_parameters(described)
    return 0 if is_complete else 1


def _steps_shown(described: dict[str, Any]) -> list[str]:
    """Return the steps but for that of nuclei where no FOV asks for it."""
    found = [fov.get("steps", {}) for fov in described["fovs"].values()]
    is_asked = any(steps.get(NUCLEI.step, "not asked for") != "not asked for" for steps in found)
    return [step for step in step_names() if is_asked or step != NUCLEI.step]


def _title(fov: str, found: dict[str, Any]) -> str:
    """Return number and name of a FOV; of a damaged record, its folder."""
    return titled(int(fov), found.get("name", ""), "FOV") if fov.isdecimal() else fov


def _channel_title(channel: int, found: dict[str, Any]) -> str:
    names = found.get("channel_names", [])
    return titled(channel, names[channel] if channel < len(names) else "", "Channel")


def _show_parameters(described: dict[str, Any]) -> None:
    """Show channels and parameters, once for all FOVs that share them."""
    from pyama_core.io.yaml_files import dump_yaml

    groups: dict[str, list[str]] = {}
    for fov, found in described["fovs"].items():
        settings = {"channels": _channels(found), "params": found.get("params")}
        groups.setdefault(dump_yaml(settings), []).append(fov)
    for settings_text, fovs in groups.items():
        which = "all FOVs" if len(groups) == 1 else f"FOVs {', '.join(fovs)}"
        echo(f"\nsettings of {which}:\n{settings_text.rstrip()}")


def _channels(found: dict[str, Any]) -> dict[str, Any] | None:
    """Return the channels of a FOV by number and name."""
    channels: dict[str, Any] | None = found.get("channels")
    if channels is None:
        return None

    def named(chosen: Any) -> Any:
        if isinstance(chosen, list):
            return [named(channel) for channel in chosen]
        title = _channel_title(chosen, found) if isinstance(chosen, int) else chosen
        return chosen if title == str(chosen) else title

    return {role: named(chosen) for role, chosen in channels.items()}


def _cells(found: dict[str, Any]) -> str:
    summaries = [
        output["summary"]
        for output in found.get("outputs", {}).values()
        if output["kind"] == "traces_csv"
    ]
    return ", ".join(f"{counts.get('good', '?')} of {counts['cells']}" for counts in summaries)


def verify(folder: Path) -> int:
    """Compare every output with its recorded checksum and name those that differ."""
    faults = verify_folder(folder)
    for name, fault in faults.items():
        echo(f"{name}: {fault}", err=True)
    if faults:
        echo(
            f"{len(faults)} damaged or changed; pyama run --check makes them anew, "
            "and keeps what is there under other names",
            err=True,
        )
    changed, unknown = find_changed_files(folder)
    for name, reason in (changed | unknown).items():
        echo(f"{name}: {reason}", err=True)
    if changed:
        echo(f"{len(changed)} outdated; pyama run makes them anew", err=True)
    for each in find_misplaced(folder):
        if not each.is_needed:
            echo(f"{each.place}: {each}")
    if faults or changed:
        return 1
    echo("every output is as it was written")
    return 0


def release(folder: Path, stacks: str) -> int:
    """Delete stacks and say how much space that gave back."""
    released = release_stacks(folder, parse_kinds(stacks))
    echo(f"released {released.n_files} files, {released.n_bytes / 1e9:.2f} GB")
    return 0
