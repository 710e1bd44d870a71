"""What is wrong, as people and programs are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orgloop.config.codes import CODES, codes_in, explain
from orgloop.config.report import line_of, plain_of, refusal_of, report_of
from orgloop.errors import Fault, Place

PLACE = Place("/p/routes/r.yaml", 5, 13, 5, "    then: {a: agnet}")
FAULT = Fault(("routes", 0, "then", "actor"), 'Actor "agnet" not found', "OL1303", PLACE)


def test_a_fault_is_shown_with_its_line_and_a_caret() -> None:
    """What, where, why, and what to do next."""
    assert report_of(FAULT, base=Path("/p")) == "\n".join(
        [
            'routes/r.yaml:5:13: OL1303 Actor "agnet" not found',
            "     5 |     then: {a: agnet}",
            "       |             ^^^^^",
            "  why: Every name must lead somewhere.",
            "  fix: Correct it, or define the actor.",
            "  more: orgloop help OL1303",
        ]
    )


def test_a_fault_is_plain_data_too() -> None:
    """The same object, for ``--json``."""
    plain = plain_of(FAULT, base=Path("/p"))

    assert json.loads(json.dumps(plain)) == plain
    assert plain | {"why": None, "fix": None} == {
        "code": "OL1303",
        "text": 'Actor "agnet" not found',
        "path": ["routes", 0, "then", "actor"],
        "file": "routes/r.yaml",
        "line": 5,
        "column": 13,
        "source": "    then: {a: agnet}",
        "why": None,
        "fix": None,
    }


def test_a_fix_of_its_own_comes_before_the_general_one() -> None:
    """Where somebody knows better what to do."""
    fault = Fault((), "x", "OL1502", None, fix="pip install acme")

    assert "  fix: pip install acme" in report_of(fault).splitlines()
    assert plain_of(fault)["fix"] == "pip install acme"


def test_tabs_stay_under_tabs() -> None:
    """So that the caret is where the eye expects it."""
    place = Place("f", 1, 3, 1, "a\tb")

    assert report_of(Fault((), "x", "OL1101", place)).splitlines()[2] == "       |  \t^"


def test_a_place_outside_of_the_folder_is_shown_whole() -> None:
    """A file that is named from elsewhere is not hidden."""
    assert line_of(FAULT, base=Path("/q")).startswith("/p/routes/r.yaml:5:13: ")


def test_a_refusal_has_a_line_for_each_fault() -> None:
    """And says how many it does not tell."""
    error = refusal_of([FAULT, FAULT], left_out=3)

    assert len(error.faults) == 2
    assert str(error).splitlines()[2] == "… and 3 more"


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_explained(code: str) -> None:
    """In either case: a title, the rule and what to do, each a sentence."""
    text = explain(code.lower())

    assert text is not None
    assert text.startswith(f"{code}  {CODES[code].title}")
    assert all(part.endswith((".", "`.")) for part in (CODES[code].why, CODES[code].fix))


def test_what_is_no_code_is_not_explained() -> None:
    """The command says so."""
    assert explain("OL9999") is None


def test_every_code_that_is_given_is_in_the_catalogue() -> None:
    """And no other is."""
    room = Path(__file__).parents[2] / "orgloop/config"
    given = {code for file in room.glob("*.py") if file.name != "codes.py" for code in codes_in(file.read_text())}

    assert given == set(CODES)
