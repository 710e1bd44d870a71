"""From what was raised to what is told."""

from __future__ import annotations

import io
import json
from pathlib import Path

import click
import pytest

from orgloop.cli.errors import CommandFailed, report, report_of
from orgloop.cli.output import Output
from orgloop.errors import ConfigError, EventError, Fault, HomeError, HomeTaken, ModuleError, Place


def told(exc: BaseException, *, is_json: bool = False, is_verbose: bool = False) -> tuple[int, str]:
    out = io.StringIO()
    code = report(exc, Output(out=io.StringIO(), err=out, is_json=is_json, is_verbose=is_verbose))
    return code, out.getvalue()


def test_the_four_parts_stand_below_each_other() -> None:
    """What, where, why, next."""
    code, text = told(CommandFailed("It is not", where="here", why="so", next="do this"))

    assert (code, text) == (1, "✗ It is not\n  where: here\n  why: so\n  next: do this\n")


def test_the_four_parts_as_json() -> None:
    """In the shape of the control API."""
    _, text = told(CommandFailed("It is not", why="so", code="it"), is_json=True)

    assert json.loads(text)["error"] == {"code": "it", "what": "It is not", "where": None, "why": "so", "next": None}


@pytest.mark.parametrize(
    ("raised", "exit_code", "code"),
    [
        (ConfigError("no"), 1, "config"),
        (HomeError("the home is not; do that"), 1, "home"),
        (HomeTaken("taken; stop it"), 1, "home_taken"),
        (ModuleError("no module"), 1, "module"),
        (EventError("not an event"), 1, "event_error"),
        (FileNotFoundError(2, "No such file or directory", "x"), 1, "system"),
        (PermissionError(13, "Permission denied", "x"), 1, "system"),
        (click.UsageError("no such thing"), 64, "usage"),
        (RuntimeError("what?"), 1, "bug"),
        (ExceptionGroup("wrapped", [HomeTaken("taken; stop it")]), 1, "home_taken"),
        (ExceptionGroup("several", [ValueError("a"), ValueError("b")]), 1, "bug"),
    ],
)
def test_everything_that_can_be_raised_is_told(raised: BaseException, exit_code: int, code: str) -> None:
    """With an exit code, a code for programs, and no traceback."""
    assert report_of(raised).code == code
    ended, text = told(raised)
    assert ended == exit_code
    assert text.startswith("✗ ")
    assert "Traceback" not in text


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), BaseExceptionGroup("", [KeyboardInterrupt()]), click.Abort()])
def test_ctrl_c_is_told_by_the_exit_code_alone(raised: BaseException) -> None:
    """In a group too, as an event loop raises it."""
    assert told(raised) == (130, "")


def test_the_way_there_is_for_those_who_ask() -> None:
    """``-v`` shows the traceback; in JSON it is a member of the one document."""
    assert "RuntimeError: what?" in told(RuntimeError("what?"), is_verbose=True)[1]
    assert json.loads(told(RuntimeError("what?"), is_verbose=True, is_json=True)[1])["trace"].endswith("what?")


def test_a_fault_comes_with_its_line() -> None:
    """File, line and column, the line itself with a caret, why, and what to do."""
    place = Place(str(Path.cwd() / "orgloop.yaml"), 7, 14, 5, "      actor: agnet")
    fault = Fault(("routes", 0), 'Actor "agnet" not found', "OL1303", place)
    _, text = told(ConfigError("…", [fault]))

    assert "orgloop.yaml:7:14: OL1303 Actor" in text
    assert "^^^^^" in text
    assert "orgloop help OL1303" in text


def test_faults_of_a_configuration_are_members_of_the_document() -> None:
    """For programs: each with code, text, path and place."""
    _, text = told(ConfigError("…", [Fault(("routes", 0), "no", "OL1303")]), is_json=True)

    assert json.loads(text)["error"]["faults"][0]["code"] == "OL1303"
