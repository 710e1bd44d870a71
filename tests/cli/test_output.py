"""What is said, to whom, and how it looks."""

from __future__ import annotations

import io
import json
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgloop.cli.output import Output


class Terminal(io.StringIO):
    """A stream that a person looks at."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Latin(io.StringIO):
    """A stream that knows few characters."""

    encoding = "latin-1"


def output(**fields: bool) -> tuple[Output, io.StringIO, io.StringIO]:
    out, err = Terminal(), Terminal()
    return Output(out=out, err=err, **fields), out, err


def test_marks_are_coloured_on_a_terminal() -> None:
    """Green for good, and the sign says it without the colour."""
    speech, out, _ = output()
    speech.good("there")

    assert out.getvalue() == "\x1b[32m✓\x1b[0m there\n"


def test_no_color_is_kept_to() -> None:
    """https://no-color.org"""
    speech, out, _ = output(no_colour=True)
    speech.good("there")

    assert out.getvalue() == "✓ there\n"


def test_a_pipe_gets_no_colour() -> None:
    """What programs read has no codes in it."""
    out = io.StringIO()
    Output(out=out, err=out).good("there")

    assert out.getvalue() == "✓ there\n"


@pytest.mark.parametrize("evil", ["\x1b[2J", "\x1b]0;title\x07", "\r", "\x9b2J", "\u202e", "\x00", "\x1b[1;1H"])
def test_what_comes_from_elsewhere_cannot_move_the_cursor(evil: str) -> None:
    """It is written out, on a terminal too."""
    speech, out, err = output()
    speech.say(f"name: {evil}")
    speech.fail(f"name: {evil}")

    assert evil not in out.getvalue() + err.getvalue()
    assert "name: \\" in out.getvalue()


def test_where_nothing_is_painted_no_code_passes() -> None:
    """Not even one that would only change a colour."""
    out = io.StringIO()
    Output(out=out, err=out).say("\x1b[31mred")

    assert out.getvalue() == "\\x1b[31mred\n"


def test_json_is_all_there_is() -> None:
    """People's words are left out on both streams."""
    speech, out, err = output(is_json=True)
    for say in (speech.say, speech.good, speech.warn, speech.fail, speech.detail, speech.complain):
        say("word")
    speech.document({"a": "é"})

    assert (json.loads(out.getvalue()), err.getvalue()) == ({"a": "é"}, "")


def test_without_json_there_is_no_document() -> None:
    """A command may give its document in any case."""
    speech, out, _ = output()
    speech.document({"a": 1})

    assert out.getvalue() == ""


def test_quiet_keeps_what_went_wrong() -> None:
    """And what was asked for itself."""
    speech, out, err = output(is_quiet=True, no_colour=True)
    for say in (speech.say, speech.good, speech.warn, speech.detail):
        say("word")
    speech.warn("word", next="a step")
    speech.fail("bad")
    speech.raw("token")

    assert (out.getvalue(), err.getvalue()) == ("token\n", "✗ bad\n")


def test_details_are_for_those_who_ask() -> None:
    """``-v`` has more, on stderr."""
    speech, out, err = output(is_verbose=True, no_colour=True)
    speech.detail("how")

    assert (out.getvalue(), err.getvalue()) == ("", "… how\n")


def test_signs_that_cannot_be_written_become_words() -> None:
    """And other characters are written out, instead of an error about an error."""
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    speech = Output(out=out, err=out)
    speech.good("naïve ✓")
    out.flush()

    assert raw.getvalue() == b"OK na\\xefve \\u2713\n"
    assert Output(out=Latin(), err=out).mark("bad") == "ERROR"


@given(st.text())
def test_no_text_leaves_but_what_can_be_seen(text: str) -> None:
    """Lines and tabs, and nothing else that is not printed."""
    out = io.StringIO()
    Output(out=out, err=out).say(text)

    assert not [character for character in out.getvalue() if category(character) == "Cc" and character not in "\n\t"]
