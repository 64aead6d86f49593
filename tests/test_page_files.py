"""The page lists what can be opened below its roots, says what it is, and nothing of the rest."""

from __future__ import annotations

import shutil
import sys

import numpy as np
import pytest

from asking import Page, read_pixels
from movies import write_movie
from pyama_core.demo import write_demo


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "Daten für heute"
    folder.mkdir()
    return folder


def listed(page, at=""):
    return {entry["name"]: entry for entry in page.get("/api/folder", at=str(at)).json["entries"]}


def test_results_files_and_folders_are_told_apart(root, copied_results, demo):
    shutil.move(copied_results, root / "results")
    shutil.copy(demo.image, root / "a movie.ome.tif")
    (root / "plain").mkdir()
    (root / "images").mkdir()
    for t in range(5):
        (root / "images" / f"A1_GFP_t{t:03d}.tif").write_bytes(b"II*\0")
    (root / "notes.txt").write_text("")
    (root / ".hidden").mkdir()
    (root / "store.zarr").mkdir()
    kinds = {name: entry["kind"] for name, entry in listed(Page([root])).items()}
    assert kinds == {
        "results": "results",
        "a movie.ome.tif": "file",
        "store.zarr": "file",
        "images": "images",
        "plain": "folder",
    }
    assert Page([root]).get("/api/folder").json["n_left_out"] == 2


def test_several_roots_are_listed_and_no_way_leads_above_them(root, tmp_path):
    (root / "inside").mkdir()
    other = tmp_path / "other"
    other.mkdir()
    page = Page([root, other])
    assert {entry["at"] for entry in listed(page).values()} == {str(root), str(other)}
    told = page.get("/api/folder", at=str(root / "inside")).json
    assert told["parents"] == [str(root)]
    assert page.get("/api/folder", at=str(tmp_path)).status == 400


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links_that_lead_out_are_not_listed(root, tmp_path):
    (tmp_path / "outside").mkdir()
    (root / "link").symlink_to(tmp_path / "outside")
    assert listed(Page([root])) == {}


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text there")
def test_a_name_that_is_no_text_does_not_stop_the_listing(root):
    (root / "b\udcff.tif").write_bytes(b"II*\0")
    (root / "c").mkdir()
    assert list(listed(Page([root]))) == ["c"]


def test_a_file_is_told_in_a_sentence_and_drawn(root):
    image = np.zeros((3, 2, 300, 200), np.uint16)
    image[:, :, 100:200, 50:100] = 40_000
    path = write_movie(root / "movie.ome.tif", [image], ["Phase", "GFP"], 5)
    page = Page([root])
    card = page.get("/api/card", at=str(path)).json
    assert card["words"].startswith("1 position, 3 frames of 200 × 300 px")
    assert "channels: Phase, GFP" in card["details"]
    drawn = read_pixels(page.get("/api/thumbnail", at=str(path)))
    assert drawn.dtype == np.uint8
    assert drawn.shape == (75, 50)
    assert (drawn[30, 20], drawn[5, 5]) == (255, 0)


def test_results_are_told_in_a_sentence_and_drawn(results_of_demo):
    page = Page([results_of_demo.parent])
    card = page.get("/api/card", at=str(results_of_demo)).json
    assert card["words"].startswith("3 positions, ")
    assert card["states"] == [["done", 3]]
    assert read_pixels(page.get("/api/thumbnail", at=str(results_of_demo))).std() > 10


@pytest.mark.parametrize("content", [b"", b"II*\0 and nothing that follows", b"no image at all"])
def test_a_file_that_cannot_be_read_says_why(root, content):
    (root / "broken.tif").write_bytes(content)
    answer = Page([root]).get("/api/card", at=str(root / "broken.tif"))
    assert answer.status in (400, 409)
    assert "broken.tif" in answer.json["error"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_images_that_are_links_to_the_outside_are_not_read(root, tmp_path):
    image = np.zeros((4, 1, 32, 32), np.uint16)
    outside = write_movie(tmp_path / "secret.ome.tif", [image], ["Phase"])
    folder = root / "images"
    folder.mkdir()
    for t in range(4):
        (folder / f"A1_GFP_t{t:03d}.tif").symlink_to(outside)
    for path in ("card", "thumbnail"):
        answer = Page([root]).get(f"/api/{path}", at=str(folder))
        assert answer.status == 400
        assert "leads out" in answer.json["error"]


def test_the_demo_is_written_where_it_is_asked_for_and_never_over_anything(root, monkeypatch):
    monkeypatch.setattr(
        "pyama_core.app.routes.files.write_demo",
        lambda place, kind: write_demo(place, fovs=1, frames=2, size=64, kind=kind),
    )
    page = Page([root])
    assert page.post("/api/demo", at=str(root)).json["at"] == str(root / "demo" / "demo.ome.tif")
    again = page.post("/api/demo", at=str(root))
    assert again.status == 400
    assert "there already" in again.json["error"]
    assert page.post("/api/demo", at=str(root.parent)).status == 400
    assert "demo.ome.tif" in listed(page, root / "demo")


def test_a_demo_of_each_kind_that_is_offered_is_written_beside_the_others(root, monkeypatch):
    monkeypatch.setattr(
        "pyama_core.app.routes.files.write_demo",
        lambda place, kind: write_demo(place, fovs=1, frames=2, size=128, kind=kind),
    )
    page = Page([root])
    offered = page.get("/api/demos").json["demos"]
    assert [each["kind"] for each in offered] == ["adherent", "nuclei", "cells", "bacteria"]
    channels = set()
    for each in offered:
        made = page.post("/api/demo", at=str(root), kind=each["kind"]).json["at"]
        channels.add(page.get("/api/card", at=made).json["words"])
    assert len(channels) == 4
    assert page.post("/api/demo", at=str(root), kind="yeast").status == 400
