"""Nobody but the page's own user gets anything from its server: every forgery × every route."""

from __future__ import annotations

import logging
import sys

import pytest

from asking import CHANGING, HOST, IDENTITY, READING, Page, every_route
from pyama_core.app.guard import SHELL, STATIC, Guard
from pyama_core.app.roots import Roots
from pyama_core.app.server import hosts_of
from pyama_core.errors import InputError

ROUTES = list(every_route())

FORGED_HOSTS = {
    "another name, as a rebound one sends": {"host": "attacker.example:8123"},
    "another port": {"host": "127.0.0.1:8124"},
    "no port": {"host": "127.0.0.1"},
    "another address of the loopback": {"host": "127.0.0.2:8123"},
    "a name that begins alike": {"host": "localhost.attacker.example:8123"},
    "a name that ends alike": {"host": "attacker-localhost:8123"},
    "a user before the name": {"host": "x@127.0.0.1:8123"},
    "two names": {"host": [HOST, "attacker.example:8123"]},
    "none": {"host": []},
    "an empty one": {"host": ""},
}
FORGED_COOKIES = {
    "no cookie": {"cookie": []},
    "a wrong cookie": {"cookie": f"{IDENTITY.cookie}=wrong"},
    "the token in place of the secret": {"cookie": f"{IDENTITY.cookie}={IDENTITY.token}"},
    "the cookie of another port": {"cookie": f"pyama_1={IDENTITY.secret}"},
    "an empty cookie": {"cookie": f"{IDENTITY.cookie}="},
    "a cookie with more to it": {"cookie": f"{IDENTITY.cookie}={IDENTITY.secret}x"},
}
FORGED_SITES = {
    "another site": {"sec-fetch-site": "cross-site"},
    "another port of the same site": {"sec-fetch-site": "same-site"},
    "an unknown site": {"sec-fetch-site": "?"},
}
FORGED_CHANGES = {
    "no origin": {"origin": []},
    "a foreign origin": {"origin": "http://attacker.example"},
    "an origin of another port": {"origin": "http://127.0.0.1:8124"},
    "a secure origin": {"origin": f"https://{HOST}"},
    "another of the own names": {"origin": "http://localhost:8123"},
    "an opaque origin": {"origin": "null"},
    "two origins": {"origin": [f"http://{HOST}", "http://attacker.example"]},
    "no word on the site": {"sec-fetch-site": []},
    "typed by hand": {"sec-fetch-site": "none"},
    "a form": {"content-type": "application/x-www-form-urlencoded"},
    "plain text": {"content-type": "text/plain"},
    "no type": {"content-type": []},
}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return Page([tmp_path_factory.mktemp("root")])


def is_public(path):
    return path == SHELL or path.startswith(STATIC)


def genuine(method):
    return READING if method == "GET" else CHANGING


def is_refused(answer):
    words = answer.content.startswith(b"pyama app: ")
    return answer.status in (401, 403, 405, 415) and (words or not answer.content)


def test_the_own_page_is_let_through(page):
    assert len(ROUTES) > 8
    for method, path in ROUTES:
        assert not is_refused(page.send(method, path, "", genuine(method), b"{}")), path


@pytest.mark.parametrize("forged", [pytest.param(v, id=k) for k, v in FORGED_HOSTS.items()])
def test_another_host_is_refused_everywhere(page, forged):
    for method, path in ROUTES:
        assert is_refused(page.send(method, path, "", genuine(method) | forged, b"{}")), path


@pytest.mark.parametrize(
    "forged", [pytest.param(v, id=k) for k, v in (FORGED_COOKIES | FORGED_SITES).items()]
)
def test_a_stranger_is_refused_wherever_there_is_anything_to_see(page, forged):
    for method, path in ROUTES:
        if not is_public(path):
            assert is_refused(page.send(method, path, "", genuine(method) | forged, b"{}")), path


@pytest.mark.parametrize("forged", [pytest.param(v, id=k) for k, v in FORGED_CHANGES.items()])
def test_only_the_own_page_changes_anything(page, forged):
    for _, path in ROUTES:
        assert is_refused(page.send("POST", path, "", CHANGING | forged, b"{}")), path


@pytest.mark.parametrize("other", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"])
def test_other_methods_are_refused(page, other):
    for _, path in ROUTES:
        assert is_refused(page.send(other, path, "", CHANGING, b"{}")), path


def test_what_changes_something_does_not_answer_to_an_address(page):
    for method, path in ROUTES:
        other = page.send("GET" if method == "POST" else "POST", path, "", CHANGING, b"{}")
        assert other.status == 405, path


@pytest.mark.parametrize("host", [HOST, "attacker.example"])
def test_every_answer_forbids_other_sites_to_use_it(page, host):
    for method, path in ROUTES:
        found = page.send(method, path, "", genuine(method) | {"host": host}, b"{}").headers
        assert not [name for name in found if name.startswith("access-control-")]
        assert "default-src 'none'" in found["content-security-policy"]
        assert "frame-ancestors 'none'" in found["content-security-policy"]
        assert "http" not in found["content-security-policy"]
        assert found["x-content-type-options"] == "nosniff"
        assert found["cross-origin-resource-policy"] == "same-origin"
        assert found["referrer-policy"] == "no-referrer"


def test_the_token_is_exchanged_for_a_cookie_that_scripts_and_other_sites_cannot_use(page):
    answer = page.send("GET", "/", "token=the+token", {"host": HOST})
    assert (answer.status, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{IDENTITY.cookie}={IDENTITY.secret}".replace(" ", "\\ ")[:5])
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "the token" not in cookie


@pytest.mark.parametrize("token", ["wrong", "", "the%20token&token=x", "the+secret", "the+tokem"])
def test_a_wrong_token_gives_no_cookie(page, token):
    answer = page.send("GET", "/", f"token={token}", {"host": HOST})
    assert "set-cookie" not in answer.headers


def test_sockets_are_closed(page):
    sent = []

    async def send(message):
        sent.append(message)

    async def never():
        raise AssertionError("nobody listens")

    coroutine = Guard(never, IDENTITY)({"type": "websocket", "headers": []}, never, send)
    with pytest.raises(StopIteration):
        coroutine.send(None)
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_secrets_are_not_shown(page):
    assert "secret" not in repr(IDENTITY).replace("secret=", "")
    assert IDENTITY.token not in repr(IDENTITY)


def test_the_names_of_a_server_are_those_of_the_loopback_unless_another_address_is_asked_for():
    own = {"127.0.0.1:9", "localhost:9", "[::1]:9"}
    assert hosts_of("127.0.0.1", 9) == own
    assert hosts_of("::1", 9) == own
    assert hosts_of("10.0.0.7", 9) > own | {"10.0.0.7:9"}


# Paths


@pytest.mark.parametrize(
    "place",
    [
        "..",
        "../outside",
        "inside/../../outside",
        "/",
        "/etc",
        "",
        "inside",
        ".",
        "\0",
        "//etc",
        "~",
        "file:///etc",
        "C:\\Windows",
        "\\\\server\\share",
    ],
)
def test_no_path_leads_out_of_the_roots(tmp_path, place):
    (tmp_path / "root" / "inside").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    roots = Roots.of([tmp_path / "root"])
    for text in (place, f"{tmp_path}/root/{place}/../../outside"):
        with pytest.raises(InputError):
            roots.inside(text)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links_that_lead_out_are_refused_and_those_that_stay_inside_are_not(tmp_path):
    (tmp_path / "root" / "inside").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "root" / "out").symlink_to(tmp_path / "outside")
    (tmp_path / "root" / "in").symlink_to(tmp_path / "root" / "inside")
    roots = Roots.of([tmp_path / "root"])
    assert roots.inside(tmp_path / "root" / "in") == tmp_path / "root" / "inside"
    with pytest.raises(InputError, match="below"):
        roots.inside(tmp_path / "root" / "out")


def test_what_lies_outside_and_what_does_not_exist_are_told_in_the_same_words(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "secret").mkdir()
    roots = Roots.of([tmp_path / "root"])
    told = []
    for name in ("secret", "nothing"):
        with pytest.raises(InputError) as error:
            roots.inside(tmp_path / name)
        told.append(str(error.value).replace(name, "NAME"))
    assert told[0] == told[1]


def test_a_name_that_is_longer_than_any_file_s_is_told_in_words(tmp_path):
    roots = Roots.of([tmp_path])
    with pytest.raises(InputError, match="there is no"):
        roots.inside(tmp_path / ("x" * 5000))


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
@pytest.mark.parametrize("linked", ["fov", "stack", "record", "table of samples", "log of edits"])
def test_results_whose_files_are_links_to_the_outside_are_not_shown(
    copied_results, tmp_path, linked
):
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = copied_results / "fov_001"
    target = {
        "fov": folder,
        "stack": next(folder.glob("*_pc_*.npy")),
        "record": next(folder.glob("*_record.json")),
        "table of samples": copied_results / "samples.csv",
        "log of edits": copied_results / "edits.jsonl",
    }[linked]
    hidden = outside / target.name
    if target.exists():
        target.replace(hidden)
    else:
        hidden.write_text("")
    target.symlink_to(hidden)
    answer = Page([copied_results]).get("/api/overview", at=str(copied_results))
    assert answer.status == 400
    assert "link that leads out" in answer.json["error"]
    for path in ("fov", "cells"):
        assert (
            Page([copied_results]).get(f"/api/{path}", at=str(copied_results), fov=1).status == 400
        )


def test_the_server_logs_no_secret(page, caplog):
    with caplog.at_level(logging.DEBUG):
        page.send("GET", "/", "token=the+token", {"host": HOST})
        page.get("/api/overview", at="/")
    assert IDENTITY.token not in caplog.text
    assert IDENTITY.secret not in caplog.text
