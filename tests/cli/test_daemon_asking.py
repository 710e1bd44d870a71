"""The commands that ask a daemon, against a control API whose answers a test chooses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orgloop.daemon.home import Home, prepare_home
from orgloop.daemon.owner import take_home
from orgloop.daemon.spool import read, waiting
from tests.cli.control import Control, serve_control
from tests.cli.terminal import Shell, shell, shop

__all__ = ["shell", "shop"]

HEALTH = {
    "sourceId": "github",
    "status": "degraded",
    "lastSuccessfulPoll": None,
    "lastPollAttempt": None,
    "consecutiveErrors": 3,
    "lastError": "403 from api.github.com",
    "totalEventsEmitted": 12,
    "circuitOpen": True,
}
COUNTS = {"admitted": 12, "delivered": 10, "dropped": 1, "dead": 1, "in_flight": 0}


def module(name: str = "shop", directory: Path | str = "/srv/shop", **changes: Any) -> dict[str, Any]:
    """A module as the control API tells of it."""
    return {
        "name": name,
        "state": "active",
        "sources": 1,
        "routes": 2,
        "actors": 1,
        "uptime_ms": 61_000,
        "health": [HEALTH],
        "generation": 3,
        "digest": "abc",
        "directory": str(directory),
        "cause": None,
        "counts": COUNTS,
        **changes,
    }


STATUS = {
    "running": True,
    "pid": 4711,
    "uptime_ms": 93_784_000,
    "httpPort": 4800,
    "modules": [module()],
    "generation": 3,
    "version": "0.1.0",
    "bus": {"state": "ok"},
    "notices": {"loggers": {}},
    "parked": {},
    "no_route": {},
    "loops": {},
}
EVENT = {
    "id": "evt_1",
    "source": "github",
    "type": "resource.changed",
    "timestamp": "2026-01-31T09:00:07.250Z",
    "trace_id": "trc_1",
    "module": "shop",
    "provenance": {},
    "payload": {"n": 1},
    "ancestors": [],
}


@pytest.fixture
def control(shell: Shell, tmp_path: Path) -> Iterator[Control]:
    """A daemon on the home of the shell."""
    with serve_control(tmp_path / "home") as control:
        yield control


def home_of(shell: Shell) -> Home:
    return Home(Path(str(shell.environ["ORGLOOP_HOME"])))


# -- status ------------------------------------------------------------------------------------------------------------


def test_a_status_shows_modules_and_what_happened_last(shell: Shell, control: Control) -> None:
    """For people: what is not well stands out, with its reason."""
    recorded = {"sequence": 1, "event": EVENT, "ends": [{"module": "shop", "route": "r", "outcome": "delivered"}]}
    control.answers["GET /control/status"] = (200, STATUS)
    control.answers["GET /api/v1/events"] = (200, {"items": [{**recorded, "open": True}], "next": None})

    shown = shell.run("status").out

    for line in (
        "  Status:       running (PID 4711)",
        "  Uptime:       1d 2h",
        "  State:      active, generation 3, up 1m 1s",
        "  Deliveries: 10 delivered, 1 dropped, 1 dead, 0 in_flight",
        "  github  circuit open  —          3       12",
        "  ! github: 403 from api.github.com",
        "  09:00:07  github  resource.changed  r      delivered",
        "  09:00:07  github  resource.changed  —      in flight",
    ):
        assert line in shown.splitlines()


def test_a_status_in_json_is_that_of_the_daemon_and_more(shell: Shell, control: Control) -> None:
    """Who keeps it running, and where each module lies."""
    control.answers["GET /control/status"] = (200, STATUS)
    found = shell.run("status", "--json").document

    assert found["moduleDirectories"] == {"shop": "/srv/shop"}
    assert (found["running"], found["httpPort"], found["restarts"]) == (True, 4800, 0)
    assert found["recentEvents"] == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"bus": {"state": "degraded"}}, "Event log:  degraded"),
        ({"parked": {"gone": 7}}, "7 events wait for module 'gone', which is not loaded"),
        ({"notices": {"loggers": {"x/file": {"dropped": 2, "failed": 1}}}}, "logger x/file has lost 3 notices"),
    ],
)
def test_a_status_says_what_somebody_should_look_at(
    shell: Shell, control: Control, change: dict[str, Any], line: str
) -> None:
    """A log that is damaged, events that wait for nobody, a logger that loses."""
    control.answers["GET /control/status"] = (200, STATUS | change)
    assert line in shell.run("status").out


def test_a_daemon_that_does_not_answer_is_running_all_the_same(shell: Shell, control: Control) -> None:
    """The status says that it has a process and what to do; and that is no failure of the command."""
    control.answers["GET /control/status"] = (500, {"error": "Internal error"})
    found = shell.run("status", "--json")

    assert (found.code, found.document["running"], found.document["answers"]) == (0, True, False)


def test_without_a_daemon_a_status_says_how_to_start_one(shell: Shell) -> None:
    """Exit code 0: it was asked, and it was answered."""
    shell.environ["ORGLOOP_PORT"] = "1"  # where nobody listens
    assert (shell.run("status").code, shell.run("status", "--json").document) == (0, {"running": False})
    assert "orgloop start --daemon" in shell.run("status").out


def test_a_daemon_that_was_killed_has_left_a_trace(shell: Shell) -> None:
    """It is said, and that nothing needs to be repaired."""
    home = home_of(shell)
    prepare_home(home)
    take_home(home).leave()
    home.write(home.pid, b"4711\n")
    shell.environ["ORGLOOP_PORT"] = "1"

    assert "the last one was killed" in shell.run("status").out


def test_a_port_that_answers_for_nobody_is_an_orphan(shell: Shell, tmp_path: Path) -> None:
    """A daemon of another home, or another program: it is named, and not touched."""
    with serve_control(tmp_path / "other") as other:
        port = other.home.port.read_text().strip()
        shell.environ["ORGLOOP_PORT"] = port
        found = shell.run("status", "--json").document

    assert found == {"running": False, "orphanPort": int(port), "portResponding": True}


# -- modules -----------------------------------------------------------------------------------------------------------


def test_modules_are_listed(shell: Shell, control: Control) -> None:
    """A line for each."""
    control.answers["GET /control/module/list"] = (200, [module(), module("ops", "/srv/ops")])
    assert [line.split()[0] for line in shell.run("module", "list").out.splitlines()] == ["NAME", "shop", "ops"]


def test_a_module_is_loaded_from_where_one_is(shop: Shell, control: Control) -> None:
    """Or from the folder that is named; the daemon is told the whole path."""
    control.answers["POST /control/module/load-project"] = (200, module())
    assert shop.run("module", "load").code == 0
    (shop.folder / "sub").mkdir()
    (shop.folder / "sub" / "orgloop.yaml").write_text("kind: Project\n")
    assert shop.run("-w", "staging", "module", "load", "sub").code == 0

    first, second = (body for _, _, body in control.asked)
    assert first == {
        "configPath": f"{shop.folder}/orgloop.yaml",
        "projectDir": str(shop.folder),
        "workspace": "default",
    }
    assert (second["configPath"], second["workspace"]) == (f"{shop.folder}/sub/orgloop.yaml", "staging")


def test_a_refused_load_tells_every_fault(shop: Shell, control: Control) -> None:
    """As the daemon has found them."""
    fault = {"code": "OL1203", "text": "unknown key", "file": "/srv/shop/orgloop.yaml", "line": 3, "column": 1}
    error = {"code": "config", "what": "1 fault in the configuration", "faults": [fault]}
    control.answers["POST /control/module/load-project"] = (422, {"error": error})
    ended = shop.run("module", "load")

    assert ended.code == 1
    assert "/srv/shop/orgloop.yaml:3:1: OL1203 unknown key" in ended.err


@pytest.mark.parametrize("verb", ["unload", "reload", "status"])
def test_the_module_of_this_folder_needs_no_name(shop: Shell, control: Control, verb: str) -> None:
    """Links in the way there are followed."""
    (shop.folder.parent / "link").symlink_to(shop.folder)
    control.answers["GET /control/module/list"] = (200, [module("shop", shop.folder.parent / "link")])
    control.answers["GET /control/module/status/shop"] = (200, module())
    control.answers["POST /control/module/unload"] = (200, {"ok": True, "parked": 2})
    control.answers["POST /control/module/reload"] = (
        200,
        {"ok": True, "generation": 4, "changed": True, "plan": {"summary": {"add": 1, "change": 0, "remove": 0}}},
    )
    ended = shop.run("module", verb)

    assert (ended.code, ended.err) == (0, "")
    assert 'Module "shop"' in ended.out or "State:" in ended.out


def test_a_folder_without_a_module_says_which_there_are(shell: Shell, control: Control) -> None:
    """Nothing is guessed."""
    control.answers["GET /control/module/list"] = (200, [module()])
    ended = shell.run("module", "unload", "--json")

    assert (ended.code, ended.error["code"], ended.error["why"]) == (1, "module", "loaded are: shop")


def test_a_start_beside_a_daemon_has_it_load_the_project(shop: Shell, control: Control) -> None:
    """After it was shown what that changes."""
    summary = {"add": 4, "change": 0, "remove": 0}
    control.answers["POST /control/module/plan"] = (200, {"summary": summary, "empty": False})
    control.answers["POST /control/module/load-project"] = (200, module())
    lines = shop.run("start").out.splitlines()

    assert lines == [
        "OrgLoop daemon is already running. Registering module...",
        "Plan: 4 to add, 0 to change, 0 to remove.",
        '✓ Module "shop" registered into running daemon',
        "  State: active | Sources: 1 | Actors: 1 | Routes: 2",
    ]


def test_what_a_running_daemon_cannot_be_told_is_said(shop: Shell, control: Control) -> None:
    """An option that has no effect is not passed over; one that comes from a variable was not meant for this."""
    control.answers["POST /control/module/plan"] = (200, {"summary": {"add": 0, "change": 0, "remove": 0}})
    control.answers["POST /control/module/load-project"] = (200, module())
    shop.environ["ORGLOOP_PORT"] = "4801"
    ended = shop.run("start", "--daemon", "--watch")

    assert (ended.code, ended.err) == (0, "! --watch has no effect: the daemon runs already\n")


@pytest.mark.parametrize(
    "arguments", [["--port", "70000"], ["--port", "0x50"], ["--port", "-1"], ["--port"], ["--nope"]]
)
@pytest.mark.parametrize("command", ["start", "serve"])
def test_a_slip_of_the_pen_starts_nothing(shop: Shell, command: str, arguments: list[str]) -> None:
    """A1: exit code 64, and the line that helps."""
    ended = shop.run(command, *arguments)
    assert (ended.code, "--help" in ended.err) == (64, True)
    assert not home_of(shop).path.exists()


# -- stop --------------------------------------------------------------------------------------------------------------


def test_a_stop_ends_only_what_is_of_this_folder(shop: Shell, control: Control) -> None:
    """The daemon goes on for the others."""
    both = [module("shop", shop.folder), module("ops", "/srv/ops")]
    control.answers["GET /control/module/list"] = (200, both)
    control.answers["POST /control/module/unload"] = (200, {"ok": True, "parked": 0})
    ended = shop.run("stop", "--json")

    assert ended.document["daemonStopped"] is False
    assert [path for _, path, _ in control.asked] == [
        "/control/module/list",
        "/control/module/unload",
        "/control/module/list",
    ]


def test_a_stop_from_elsewhere_stops_nobody(shell: Shell, control: Control) -> None:
    """The original would have stopped everybody's modules; here it takes --all."""
    control.answers["GET /control/module/list"] = (200, [module(), module("ops", "/srv/ops")])
    ended = shell.run("stop")

    assert ended.code == 1
    assert "nothing was stopped" in ended.err
    assert "orgloop stop --all" in ended.err


@pytest.mark.parametrize("command", ["stop", "shutdown"])
def test_to_stop_what_does_not_run_is_no_failure(shell: Shell, command: str) -> None:
    """And it is said in JSON as well."""
    assert (shell.run(command).code, shell.run(command).out) == (0, "OrgLoop is not running.\n")
    assert shell.run(command, "--json").document == {"stopped": False, "running": False}


# -- dead letters, reasons, trees --------------------------------------------------------------------------------------

LETTER = {
    "id": "dl-1",
    "damaged": None,
    "reason": "retries_exhausted",
    "module": "shop",
    "route": "r",
    "actor": "clerk",
    "sequence": 7,
    "attempts": 3,
    "first_error": "503",
    "last_error": "503 again\nand more",
    "at": "2026-01-31T09:00:00.000Z",
    "event": EVENT,
}


def test_dead_letters_are_listed_with_their_last_error(shell: Shell, control: Control) -> None:
    """Its first line; those whose file is damaged too."""
    damaged = {**dict.fromkeys(LETTER), "id": "dl-2", "damaged": "not JSON"}
    control.answers["GET /api/v1/dead-letters"] = (200, {"items": [LETTER, damaged], "next": None, "count": 9})
    ended = shell.run("dlq", "list", "--module", "shop")

    assert control.asked[0][1] == "/api/v1/dead-letters?module=shop&limit=100"
    assert "retries_exhausted  503 again\n" in ended.out
    assert "damaged            not JSON\n" in ended.out
    assert "2 of 9 dead letters." in ended.out


def test_a_dead_letter_is_shown_with_its_event(shell: Shell, control: Control) -> None:
    """All of it in JSON."""
    control.answers["GET /api/v1/dead-letters/dl-1"] = (200, LETTER)
    assert "Last error:   503 again" in shell.run("dlq", "show", "dl-1").out
    assert shell.run("dlq", "show", "dl-1", "--json").document == LETTER


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["dl-1", "dl-2"], ["/api/v1/dead-letters/dl-1/replay", "/api/v1/dead-letters/dl-2/replay"]),
        (["--route", "r"], ["/api/v1/dead-letters/replay"]),
        (["--all"], ["/api/v1/dead-letters/replay"]),
    ],
)
def test_dead_letters_are_replayed(shell: Shell, control: Control, arguments: list[str], asked: list[str]) -> None:
    """By their ids, by what they have in common, or all."""
    for path in asked:
        control.answers[f"POST {path}"] = (200, {"ok": True, "replayed": 1})
    ended = shell.run("dlq", "replay", *arguments, "--json")

    assert ended.document == {"replayed": len(asked)}
    assert [path for _, path, _ in control.asked] == asked


@pytest.mark.parametrize("arguments", [[], ["dl-1", "--all"], ["--all", "--route", "r"]])
def test_which_dead_letters_must_be_said_once(shell: Shell, control: Control, arguments: list[str]) -> None:
    """Nobody replays all of them by a slip."""
    assert (shell.run("dlq", "replay", *arguments).code, control.asked) == (64, [])


def test_dead_letters_are_discarded(shell: Shell, control: Control) -> None:
    """Each by its id."""
    control.answers["DELETE /api/v1/dead-letters/dl-1"] = (200, {"ok": True})
    assert shell.run("dlq", "discard", "dl-1", "--json").document == {"discarded": 1}


EXPLANATION = {
    "event": EVENT,
    "matched": 1,
    "routes": [
        {
            "module": "shop",
            "route": "r",
            "actor": "clerk",
            "matched": True,
            "conditions": [{"path": "type", "text": 'type is "resource.changed"', "matched": True}],
        }
    ],
}


@pytest.mark.parametrize("way", ["argument", "file", "stdin"])
def test_an_event_is_explained_however_it_is_given(shell: Shell, control: Control, way: str) -> None:
    """As JSON, in a file, or on standard input."""
    control.answers["POST /api/v1/explain"] = (200, EXPLANATION)
    text = json.dumps({"source": "github", "type": "resource.changed"})
    shell.write("event.json", text)
    given = {"argument": text, "file": "event.json", "stdin": "-"}[way]
    ended = shell.run("explain", given, stdin=text)

    assert control.asked[0][2] == {"event": json.loads(text)}
    assert "✓ shop/r → clerk\n" in ended.out
    assert "1 route of 1 wants it." in ended.out


def test_an_event_that_was_admitted_is_explained_by_its_id(shell: Shell, control: Control) -> None:
    """What is no file and no JSON is an id."""
    control.answers["POST /api/v1/explain"] = (200, EXPLANATION)
    shell.run("explain", "evt_1", "--module", "shop")
    assert control.asked[0][2] == {"id": "evt_1", "module": "shop"}


@pytest.mark.parametrize("given", ["{", "{]", "missing.json", "[1]"])
def test_what_is_no_event_is_refused_before_anybody_is_asked(shell: Shell, control: Control, given: str) -> None:
    """With the reason."""
    shell.write("list.json", "[1]")
    ended = shell.run("explain", "list.json" if given == "[1]" else given)
    assert (ended.code != 0, control.asked) == (True, [])


def test_the_tree_and_the_token_are_printed(shell: Shell, control: Control) -> None:
    """As they are; the token with --quiet as well, because it was asked for."""
    control.answers["GET /control/tree"] = (200, {"text": "orgloop  rest_for_one"})
    assert shell.run("tree").out == "orgloop  rest_for_one\n"
    assert shell.run("token", "--quiet").out == control.home.token.read_text()


def test_a_home_without_a_token_says_how_it_comes_to_one(shell: Shell) -> None:
    """By the first daemon."""
    assert shell.run("token", "--json").error["code"] == "no_token"


@pytest.mark.parametrize(
    "arguments", [["module", "list"], ["tree"], ["dlq", "list"], ["explain", "evt_1"], ["inbox", "status"]]
)
def test_without_a_daemon_there_is_nobody_to_ask(shell: Shell, arguments: list[str]) -> None:
    """Exit code 1, and how to start one."""
    ended = shell.run(*arguments, "--json")
    assert (ended.code, ended.error["code"]) == (1, "not_running")


def test_an_inbox_is_drained(shell: Shell, control: Control) -> None:
    """As JSON, unless text is wanted; what was printed is acknowledged."""
    control.answers["GET /api/inbox/drain"] = (200, {"events": [EVENT], "remaining": 3, "continuation": "c-1"})
    control.answers["POST /api/inbox/ack"] = (200, {"acknowledged": 1})
    drained = shell.run("inbox", "drain", "--key", "pr-1", "--limit", "1")

    assert control.asked[0][1] == "/api/inbox/drain?session_key=pr-1&limit=1"
    assert control.asked[1] == ("POST", "/api/inbox/ack", {"session_key": "pr-1", "continuation": "c-1"})
    assert drained.document["remaining"] == 3
    assert "1 event, 3 remaining." in shell.run("inbox", "drain", "--key", "pr-1", "--format", "text").out


@pytest.mark.parametrize(("options", "continuation"), [(["--keep"], "c-1"), ([], None)])
def test_what_is_only_looked_at_stays_in_the_inbox(
    shell: Shell, control: Control, options: list[str], continuation: str | None
) -> None:
    """With --keep, and where there is nothing."""
    control.answers["GET /api/inbox/drain"] = (200, {"events": [], "remaining": 0, "continuation": continuation})
    assert shell.run("inbox", "drain", "--key", "pr-1", *options).code == 0
    assert [method for method, _, _ in control.asked] == ["GET"]


def test_an_inbox_says_how_much_waits(shell: Shell, control: Control) -> None:
    """For one session, or for all."""
    control.answers["GET /api/inbox/status"] = (200, {"pending": 2})
    control.answers["GET /api/inbox/list"] = (200, {"sessions": [{"sessionKey": "pr-1", "pending": 2}]})

    assert shell.run("inbox", "status", "--key", "pr-1").out == "2 events pending for pr-1.\n"
    assert "pr-1     2" in shell.run("inbox", "status").out


# -- hooks -------------------------------------------------------------------------------------------------------------

STOP = json.dumps({"session_id": "s1", "cwd": "/srv"})


def test_a_hook_reaches_its_source(shell: Shell, control: Control) -> None:
    """The name says which source, and what has happened."""
    control.answers["POST /webhook/claude-code"] = (200, {"ok": True})
    ended = shell.run("hook", "claude-code-stop", stdin=STOP)

    assert (ended.code, ended.out) == (0, "")
    assert control.asked == [("POST", "/webhook/claude-code", {"session_id": "s1", "cwd": "/srv", "hook_type": "stop"})]


def test_a_hook_that_says_itself_what_has_happened_is_believed(shell: Shell, control: Control) -> None:
    """Its name adds nothing then; source and module may be named, and the JSON be an argument."""
    control.answers["POST /webhook/ops/agent"] = (200, {"ok": True})
    body = {"hook_event_name": "SubagentStop", "session_id": "s1"}
    shell.run("hook", "x-stop", json.dumps(body), "--source", "agent", "--module", "ops")

    assert control.asked == [("POST", "/webhook/ops/agent", body)]


def test_a_hook_without_a_daemon_is_kept_for_the_next(shell: Shell) -> None:
    """Exit code 0: the agent goes on, and nothing is lost."""
    prepare_home(home_of(shell))
    ended = shell.run("hook", "claude-code-stop", "--json", stdin=STOP)
    (path,) = waiting(home_of(shell))

    assert (ended.code, ended.document) == (0, {"admitted": False, "kept": str(path)})
    assert json.loads(read(path).body)["session_id"] == "s1"


@pytest.mark.parametrize("status", [500, 503, 404, 429])
def test_a_hook_that_cannot_be_taken_now_is_kept(shell: Shell, control: Control, status: int) -> None:
    """The daemon is full, broken, or has not loaded that module yet."""
    control.answers["POST /webhook/claude-code"] = (status, {"error": "not now"})
    assert shell.run("hook", "claude-code-stop", stdin=STOP).code == 0
    assert len(waiting(home_of(shell))) == 1


@pytest.mark.parametrize("status", [400, 401, 413])
def test_a_hook_that_is_refused_says_so(shell: Shell, control: Control, status: int) -> None:
    """Exit code 1, which no agent takes for a reason to go on working; and it is not kept, since it would be again."""
    control.answers["POST /webhook/claude-code"] = (status, {"error": "no"})
    ended = shell.run("hook", "claude-code-stop", stdin=STOP)

    assert ended.code == 1
    assert f"orgloop hook: webhook returned {status}: no" in ended.err
    assert waiting(home_of(shell)) == []


def test_a_hook_on_a_home_that_never_was_makes_none(shell: Shell) -> None:
    """Who never started a daemon is not bothered."""
    assert shell.run("hook", "claude-code-stop", stdin=STOP).code == 0
    assert not home_of(shell).path.exists()


@pytest.mark.parametrize("body", ["", "not JSON", "[1]", "x" * (1024 * 1024 + 1)])
def test_a_hook_needs_an_object_of_bearable_size(shell: Shell, body: str) -> None:
    """Exit code 1, and nothing is kept."""
    prepare_home(home_of(shell))
    assert shell.run("hook", "claude-code-stop", stdin=body).code == 1
    assert waiting(home_of(shell)) == []


def test_a_hook_is_signed_with_a_secret_that_is_in_a_variable(shell: Shell) -> None:
    """Not on the command line, which others see; what is kept is signed already."""
    prepare_home(home_of(shell))
    shell.environ["AGENT_SECRET"] = "s3cret"
    shell.run("hook", "claude-code-stop", "--secret-env", "AGENT_SECRET", stdin=STOP)
    (path,) = waiting(home_of(shell))

    assert read(path).headers["x-hub-signature-256"].startswith("sha256=")
    assert shell.run("hook", "claude-code-stop", "--secret-env", "NOT_SET", stdin=STOP).code == 64
