"""Secrets are taken out of whatever leaves, in every form in which they might be written."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgloop.config.masking import MASK, MIN_SECRET, Masker

SECRET = 'p"ass wörd/&\\x'


@pytest.mark.parametrize("form", [str, repr, json.dumps, lambda text: quote(text, safe="")])
def test_a_secret_is_masked_in_every_form(form: object) -> None:
    """As it is, in Python, in JSON and in an address."""
    assert callable(form)
    text = f"<{form(SECRET)}>"

    masked = Masker([SECRET]).text(text)

    assert MASK in masked
    assert "wörd" not in masked
    assert "%26" not in masked


def test_each_line_of_a_secret_is_secret() -> None:
    """A key of several lines is printed line by line."""
    assert Masker(["-----\nabcdef\nghijkl"]).text("x ghijkl y") == f"x {MASK} y"


def test_a_secret_that_is_cut_off_is_masked() -> None:
    """Messages shorten what is long."""
    assert Masker(["0123456789" * 4]).text("got 01234567890123456789…") == f"got {MASK}…"


def test_short_values_are_not_masked() -> None:
    """Or a variable that holds 1 would take every 1 out of every text."""
    assert Masker(["1", "abc", "   "]).text("1 abc   ") == "1 abc   "


def test_plain_data_is_masked_through_and_through() -> None:
    """Keys, lists and texts; what is not text stays."""
    assert Masker(["hunter2"]).plain({"hunter2": ["xhunter2", 5, None, True]}) == {MASK: [f"x{MASK}", 5, None, True]}


@given(st.text(min_size=MIN_SECRET), st.text(), st.text())
def test_no_secret_survives(secret: str, before: str, after: str) -> None:
    """Whatever it is, and whatever stands around it."""
    if len(secret.strip()) >= MIN_SECRET and secret not in MASK:
        masked = Masker([secret]).text(before + secret + after)

        assert masked.count(secret) <= (before + MASK + after).count(secret)


def test_half_of_a_path_is_no_secret() -> None:
    """It is the beginning of many others, and what an error says of where something is must stay readable."""
    masker = Masker(["/srv/engineering/ledger/of/triage"])
    assert masker.text("/srv/engineering/orgloop.yaml:3:1") == "/srv/engineering/orgloop.yaml:3:1"
    assert masker.text("in /srv/engineering/ledger/of/triage") == "in ***"
