"""What others wrote is shown without secrets, on one line, and cannot move what stands beside it."""

from __future__ import annotations

import json
import unicodedata
from base64 import b64encode
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.source.errors import Place, cloud_error, status_error
from exporter.strangers import HIDDEN, credentials_in, printable, redact, without_credentials
from tests.test_secrets import writings

ANY = st.text(st.characters(exclude_categories=()))
UUID = "8a0b1c2d-0000-4000-8000-00000000abcd"
HEX = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"token gAAAAAB{HEX}-_= is gone", f"token {HIDDEN} is gone"),
        (f"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.{HEX}-{HEX}", HIDDEN),
        (f"Token {HEX} expired", f"Token {HIDDEN} expired"),
        ("X-Auth-Token: abc", f"X-Auth-Token: {HIDDEN}"),
        ('{"x-subject-token": "abc", "a": 1}', f'{{"x-subject-token": "{HIDDEN}", "a": 1}}'),
        ("{'Authorization': 'Basic YTpi'}", f"{{'Authorization': 'Basic {HIDDEN}'}}"),
        ("Proxy-Authorization: Bearer abc.def", f"Proxy-Authorization: Bearer {HIDDEN}"),
        ('"{\\"X-Auth-Token\\": \\"abc\\"}"', f'"{{\\"X-Auth-Token\\": \\"{HIDDEN}\\"}}"'),
        ("Bearer abcdefgh", f"Bearer {HIDDEN}"),
        ("{'password': 'pa ss, x', 'a': 1}", f"{{'password': {HIDDEN}, 'a': 1}}"),
        ('{\\"admin_password\\": \\"pa ss\\"}', f'{{\\"admin_password\\": {HIDDEN}}}'),
        ("password=abc, a=1", f"password={HIDDEN}, a=1"),
        ("http://u:p/a#s?s@w@host/v3 failed", f"http://{HIDDEN}@host/v3 failed"),
        ("found undefined alias 'pass word'", f"found undefined alias {HIDDEN}"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        f"Migration {UUID} could not be found (req-{UUID})",
        "check username, password, project and domains",
        "os_compute_api:os-migrations:index:all_projects is forbidden",
        "HTTPSConnectionPool(host='nova.test', port=8774): certificate verify failed",
        "the token was refused even after a new login",
        "",
    ],
)
def test_what_does_not_look_like_a_secret_stays(text: str) -> None:
    assert redact(text) == text


@given(ANY.filter(lambda text: len(text.strip()) > 7))
def test_a_known_secret_is_hidden_however_it_is_written(secret: str) -> None:
    for written in writings(secret.encode(errors="replace").decode()):
        assert written not in redact(f"<{written}>", [secret, secret.encode(errors="replace").decode()])


def test_nothing_is_no_secret() -> None:
    assert redact("a b", ["", " "]) == "a b"


@given(ANY)
def test_whatever_is_shown_is_one_printable_line(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    shown.encode()
    assert all(unicodedata.category(char)[0] != "C" for char in shown)
    assert printable(shown) == shown
    assert json.loads(f'"{printable(json.dumps(text, ensure_ascii=False)[1:-1])}"') == text


def test_a_printable_text_stays_as_it_is() -> None:
    assert printable("Zürich-雪-host_1.example") == "Zürich-雪-host_1.example"
    assert printable("a\x1b[31mb\u202ec\n") == r"a\u001b[31mb\u202ec\n"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://u:p@host:5000/v3?token=x#y", "http://host:5000/v3"),
        ("http://u:p/a?b#c@d@host/v3", "http://host/v3"),
        ("u:p@host/v3?x", "host/v3"),
        ("http://[::1]:5000/v3", "http://[::1]:5000/v3"),
        ("http://[host/v3", "http://[host/v3"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_its_credentials(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


@given(ANY)
def test_no_url_makes_this_raise(url: str) -> None:
    assert "@" not in without_credentials(url)
    credentials_in(url)


def test_the_password_of_a_url_is_known_in_every_form() -> None:
    password = "p@s/s"
    found = credentials_in(f"http://user:{quote(password, safe='')}@host/v3")
    assert {password, "p%40s%2Fs", b64encode(b"user:p@s/s").decode()} <= set(found)
    assert credentials_in("http://user@host") == credentials_in("http://host:5000") == ()


@given(ANY)
def test_an_error_is_one_short_printable_line_whatever_the_cloud_says(said: str) -> None:
    place = Place("prod", "http://keystone.test/v3", regions=(said, said * 100), asked="GET /os-migrations")
    for error in (status_error(500, said, place), cloud_error(LookupError(said), place)):
        assert str(error).isprintable() and len(str(error)) < 500


def test_regions_without_end_are_cut() -> None:
    from keystoneauth1.exceptions import EndpointNotFound

    regions = tuple(f"region\x1b{number} (public)" for number in range(10_000))
    said = str(cloud_error(EndpointNotFound(), Place("prod", regions=regions)))
    assert len(said) < 1500 and said.isprintable() and "region" in said
