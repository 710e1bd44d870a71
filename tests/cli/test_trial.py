"""``orgloop test``: one event through the project, and what is shown of its way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.terminal import DOOR, PROJECT, Shell, shell, shop

__all__ = ["shell", "shop"]


def event(**payload: Any) -> str:
    return json.dumps({"source": "deploys", "type": "resource.changed", "payload": {"service": "checkout", **payload}})


def delivered(shell: Shell) -> list[str]:
    file = shell.folder / "delivered.txt"
    return file.read_text().splitlines() if file.exists() else []


def test_an_event_is_really_delivered(shop: Shell) -> None:
    """Its way is drawn, with the routes that did not want it and why."""
    shop.write("event.json", event(ok=True))
    ended = shop.run("test", "event.json")

    assert (ended.code, ended.err) == (0, "")
    [line] = delivered(shop)
    assert line.endswith(" {'who': 'checkout'}")
    lines = ended.out.splitlines()
    assert lines[0].endswith("resource.changed from deploys")
    assert lines[1] == "  ✓ Route match: checkout → clerk"
    assert lines[2].startswith("      ✓ Transform: only-ok — PASS (")
    assert lines[3].startswith("      ✓ Delivery: clerk — OK (")
    assert lines[4:6] == [
        "  = Route cart — does not want it",
        '      payload.service: wanted "cart", found "checkout"',
    ]


def test_a_transform_that_drops_is_asked_for_real(shop: Shell) -> None:
    """The original only pretended to run it."""
    shop.write("event.json", event(ok=False))
    ended = shop.run("test", "event.json")

    assert ended.code == 0
    assert "      - Transform: only-ok — DROP" in ended.out
    assert delivered(shop) == []


def test_a_dry_run_stops_before_the_door(shop: Shell) -> None:
    """Nothing is delivered, and what would have been is shown: config filled in, and the prompt."""
    shop.write("event.json", event(ok=True))
    ended = shop.run("test", "event.json", "--dry-run")

    assert ended.code == 0
    assert delivered(shop) == []
    assert 'clerk would be given\n  config: {"who": "checkout"}\n  prompt: Look after it.' in ended.out
    assert "this was a dry run" in ended.out


def test_a_dry_run_needs_no_credentials(shop: Shell) -> None:
    """Whereas a real one does."""
    shop.write("orgloop.yaml", PROJECT.replace("${DOOR_SECRET:-nothing-secret}", "${DOOR_SECRET}"))
    shop.write("event.json", event(ok=True))

    assert shop.run("test", "event.json", "--dry-run").code == 0
    ended = shop.run("test", "event.json")
    assert ended.code == 1
    assert "OL1401" in ended.err


def test_a_delivery_that_is_given_up_fails(shop: Shell) -> None:
    """Exit code 2, and the reason."""
    shop.write("event.json", event(service="cart", fails="the door is shut"))
    ended = shop.run("test", "event.json")

    assert ended.code == 2
    assert "✗ Delivery: clerk — given up" in ended.out
    assert "the door is shut" in ended.out
    assert "✗ Something was given up." in ended.err


def test_the_end_is_waited_for_as_long_as_is_said(shop: Shell) -> None:
    """A retry would come later than that."""
    shop.write("event.json", event(ok=True, fails="not now"))
    ended = shop.run("test", "event.json", "--timeout", "0.1")

    assert ended.code == 2
    assert "will be tried again" in ended.out
    assert "not all has ended in time" in ended.err


def test_the_way_for_programs(shop: Shell) -> None:
    """The original's shape: the event, the routes that matched, and each step."""
    shop.write("event.json", event(ok=True))
    found = shop.run("--json", "test", "event.json").document

    assert found["event"]["source"] == "deploys"
    assert (found["matched_routes"], found["ok"], found["finished"], found["dry_run"]) == (
        ["checkout"],
        True,
        True,
        False,
    )
    assert [(result["step"], result["status"]) for result in found["results"]] == [
        ("checkout", "matched"),
        ("only-ok", "pass"),
        ("clerk", "ok"),
    ]
    assert found["not_matched"] == [{"route": "cart", "why": ['payload.service: wanted "cart", found "checkout"']}]


def test_an_event_that_nobody_wants_is_no_failure(shop: Shell) -> None:
    """It says so."""
    shop.write("event.json", event(service="nowhere"))
    ended = shop.run("test", "event.json")

    assert ended.code == 0
    assert "No route wants this event." in ended.out


def test_an_event_can_come_from_stdin(shop: Shell) -> None:
    """As ``-``."""
    assert "Route match: checkout" in shop.run("test", "-", "--dry-run", stdin=event(ok=True)).out


def test_a_sample_of_a_connector_is_sent(shop: Shell) -> None:
    """As an event of the source that uses that connector here."""
    ended = shop.run("test", "--generate", "./door.py", "--dry-run")

    assert ended.out.startswith("Sample 1 of 2 of ./door.py\n")
    assert "resource.changed from deploys" in ended.out
    assert "Route match: checkout" in ended.out


def test_another_sample_can_be_asked_for(shop: Shell) -> None:
    """By its number, and no other than there are."""
    assert "No route wants" in shop.run("test", "--generate", "./door.py", "--sample", "2").out
    assert "has no sample 3" in shop.run("test", "--generate", "./door.py", "--sample", "3").err


BAD = [
    ("", "It is not JSON"),
    ("{half", "It is not JSON"),
    ("[" * 100_000, "It is not JSON"),
    ("\xff", "It is not JSON"),
    ("[]", "It is JSON, but no object"),
    ("{}", "source is missing; type is missing"),
    ('{"source": "a", "type": "b"}', "type must be one of"),
    ('{"source": "a", "type": "resource.changed", "number": 1}', "unknown field 'number'"),
    ('{"source": "a", "type": "resource.changed", "payload": NaN}', "Out of range float values are not JSON compliant"),
    ('{"source": "a", "type": "resource.changed", "ancestors": ["evt_1"]}', "unknown field 'ancestors'"),
]


@pytest.mark.parametrize(("text", "why"), BAD)
def test_what_is_no_event_is_refused(shop: Shell, text: str, why: str) -> None:
    """Exit code 1, with everything that is wrong, and what to do."""
    ended = shop.run("test", "-", stdin=text.encode("latin-1"))

    assert ended.code == 1
    assert why in ended.err
    assert "next: " in ended.err


def test_an_event_has_a_limit(shop: Shell) -> None:
    """That of the front door."""
    ended = shop.run("test", "-", stdin=b" " * (2**20 + 1))

    assert "larger than 1 MiB" in ended.err


def test_one_event_is_asked_for(shop: Shell) -> None:
    """Not two."""
    assert shop.run("test", "event.json", "--generate", "webhook").code == 1


def test_no_logger_of_the_project_writes(shop: Shell) -> None:
    """The daemon may be writing to that very file."""
    loggers = "loggers: [{name: file, type: file, config: {path: ./log.jsonl}}]\n"
    shop.write("orgloop.yaml", PROJECT + loggers)
    shop.write("event.json", event(ok=True))

    assert shop.run("test", "event.json").code == 0
    assert not (shop.folder / "log.jsonl").exists()


def test_what_the_event_says_cannot_move_the_cursor(shop: Shell) -> None:
    """Nor hide in what is shown of it."""
    ended = shop.run("test", "-", stdin=event(service="\x1b[2J"))

    assert "\x1b" not in ended.out


def test_no_secret_is_in_the_trace(shop: Shell) -> None:
    """Wherever it comes from."""
    shop.environ["DOOR_SECRET"] = "open-sesame"
    ended = shop.run("--json", "test", "-", "--dry-run", stdin=event(service="open-sesame"))

    assert ended.code == 0
    assert "open-sesame" not in ended.out


@pytest.mark.parametrize("method", ["def __init__(self, directory):", "async def __aenter__(self):"])
def test_an_actor_that_cannot_begin_is_told_of(shop: Shell, method: str) -> None:
    """Exit code 1, with its own words, and no traceback of an event loop."""
    fails = (
        f"    {method}\n        raise ValueError('the bell is missing')\n\n    async def __aexit__(self, *exc): ...\n"
    )
    shop.write("door.py", DOOR.replace("\n\nasync def check(", f"\n{fails}\n\nasync def check("))
    shop.write("event.json", event(ok=True))
    ended = shop.run("test", "event.json")

    assert ended.code == 1
    assert "the bell is missing" in ended.err
    assert "Traceback" not in ended.err
