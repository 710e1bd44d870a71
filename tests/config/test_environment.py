"""Variables: what is filled in, once, and what is refused; and the lines of ``.env``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgloop.config._refused import Substituted
from orgloop.config._units import shown
from orgloop.config.environment import Environment, fill_in, parse_env, substituted

ENVIRONMENT = Environment(
    {"A": "1", "EMPTY": "", "NESTED": "${A}", "YAML": "a: b\nc"}, {"A": "2", "W": "w"}, {"F": "f"}
)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("${A}", "1"),
        ("x${A}y${A}", "x1y1"),
        ("$A {{A}} $", "$A {{A}} $"),
        ("$${A}", "$1"),
        ("${W}${F}", "wf"),
        ("${NESTED}", "${A}"),
        ("${YAML}", "a: b\nc"),
        ("${EMPTY}", ""),
        ("${EMPTY:-x}", "x"),
        ("${NOT:-x}", "x"),
        ("${NOT:-}", ""),
        ("${A:-x}", "1"),
        ("${NOT:-a:-b}", "a:-b"),
        ("${NOT}", "${NOT}"),
    ],
)
def test_variables_are_filled_in_once(text: str, filled: str) -> None:
    """What is looked up stays as it is, and what is not there stays as it was written."""
    assert fill_in(text, ENVIRONMENT)[0] == filled


@pytest.mark.parametrize("text", ["${", "${A", "${}", "${A:-${W}}", "${a b}", "${1A}", "${A-x}", "${A:=x}"])
def test_what_is_no_reference_is_refused(text: str) -> None:
    """Nothing that begins like one is passed over."""
    assert fill_in(text, ENVIRONMENT)[2]


def test_the_process_wins() -> None:
    """Over the workspace, which wins over the file."""
    environment = Environment({"A": "p"}, {"A": "w", "B": "w"}, {"A": "f", "B": "f", "C": "f"})

    assert [environment.find(name) for name in "ABCD"] == [
        ("p", "process"),
        ("w", "workspace"),
        ("f", ".env"),
        None,
    ]


def test_what_was_filled_in_is_shown_as_it_was_written() -> None:
    """So that no fault can show what a variable held."""
    value = substituted("token ${A}", ENVIRONMENT)[0]

    assert isinstance(value, Substituted)
    assert (value, shown(value)) == ("token 1", '"token ${A}"')


@pytest.mark.parametrize(
    ("line", "variables"),
    [
        ("A=1", {"A": "1"}),
        ("  A  =  1  ", {"A": "1"}),
        ("A=", {"A": ""}),
        ("A=b=c", {"A": "b=c"}),
        ("A='b c'", {"A": "b c"}),
        ('A="b"', {"A": "b"}),
        ("A=\"b'", {"A": "\"b'"}),
        ('A="', {"A": '"'}),
        ("A=b # not a remark", {"A": "b # not a remark"}),
        ("A=a\\nb", {"A": "a\\nb"}),
        ("export A=1", {"A": "1"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("A=1\nA=2", {"A": "2"}),
        ("# A=1", {}),
        ("", {}),
    ],
)
def test_a_line_of_env(line: str, variables: dict[str, str]) -> None:
    """The grammar of the original, with ``export`` allowed."""
    assert parse_env(line) == (variables, [])


def test_strange_lines_are_told_by_number() -> None:
    """Never by what is in them."""
    assert parse_env("A=1\noops\n=x\n") == ({"A": "1"}, [2, 3])


@given(st.text())
def test_no_text_breaks_them(text: str) -> None:
    """Whatever stands in a file or in a value."""
    parse_env(text)
    fill_in(text, ENVIRONMENT)
