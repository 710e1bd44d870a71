"""The two teams of ``examples/``, with a secret wherever one can be written: none is read where it does not belong."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread, Timer
from urllib.parse import quote

import attrs
import pytest

from orgloop.cli.client import Refused
from orgloop.http.app.route import EVENT_STREAM
from orgloop.http.app.table import TABLE
from tests.e2e.daemon import PROGRAM, Daemon, open_daemon, until

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/two-teams"

VARIABLES = {
    "GITHUB_WEBHOOK_SECRET": "planted-github-7c1a",
    "TICKETS_SECRET": "planted-tickets-93bd",
    "OLD_SECRET": "planted-old-secret-41",
    "CHAT_TOKEN": "planted-chat-token-5f",
    "CHAT_HEADER": "planted-chat-header-0e",
    "CHAT_PATH": "planted,path(of)chat!8d2b",
    "TRIAGE_KEY": 'planted "triage"\nkey\\ 6a-of-two-lines',
    "DESK_KEY": "planted-désk-key-77",
    "ROUTE_KEY": "planted-route-key-b3",
    "HIDDEN_SENDER": "planted-sender-2d",
    "UNUSED_KEY": "planted-and-unused-90",
}
INLINE = {"source": "inline-source-secret-11", "auth": "inline-header-secret-22", "env": "inline-env-secret-33"}
SECRETS = [*VARIABLES.values(), *INLINE.values()]

WORK = """\
#!/bin/sh
# Writes down all that it was given, then tells everybody about it.
event=$(cat)
{ env; printf '%s\\n' "$event" "$@"; } >> "$DUMP.$1"
env
env >&2
case $event in *'"poison"'*) exit 65 ;; esac
"""


@attrs.frozen
class Stage:
    """The daemon, the projects, and where actors have written down what they were given."""

    daemon: Daemon
    projects: Path
    dump: Path
    environ: Mapping[str, str]

    def given(self, actor: str) -> str:
        """All that a command was given."""
        return Path(f"{self.dump}.{actor}").read_text()

    def run(self, *arguments: str, folder: str = "engineering") -> str:
        """All that a command of ours says, whether it succeeds or not."""
        ended = subprocess.run(
            [*PROGRAM, *arguments],
            cwd=self.projects / folder,
            env=dict(self.environ),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "did not expect this" not in ended.stderr, ended.stderr
        assert ended.stdout + ended.stderr, arguments
        return ended.stdout + ended.stderr


class Talkative(BaseHTTPRequestHandler):
    """A chat that refuses, and repeats what it was told: path, headers and body."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        said = f"refused {self.path} {dict(self.headers)}".encode() + body
        self.send_response(400)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def plant(projects: Path) -> None:
    """Write a secret wherever one can be."""
    changes = {
        "engineering/orgloop.yaml": {
            '"${GITHUB_WEBHOOK_SECRET}"': (
                f'"${{GITHUB_WEBHOOK_SECRET}}"\n      secrets: ["${{OLD_SECRET}}", {INLINE["source"]}]'
            ),
            'env: { LEDGER: "${LEDGER}" }': (
                f'env: {{ DUMP: "${{DUMP}}", KEY: "${{TRIAGE_KEY}}", OTHER: {INLINE["env"]} }}'
            ),
            'url: "${CHAT_URL}"': (
                f'url: "${{CHAT_URL}}/${{CHAT_PATH}}?key=${{CHAT_TOKEN}}"\n'
                f'      headers: {{ x-key: "${{CHAT_HEADER}}" }}\n'
                f"      auth: {{ type: bearer, token: {INLINE['auth']} }}"
            ),
            "payload.sender.type: Bot": 'payload.sender.type: [Bot, "${HIDDEN_SENDER}"]',
        },
        "support/orgloop.yaml": {
            'env: { LEDGER: "${LEDGER}" }': 'stdin: delivery\n      env: { DUMP: "${DUMP}", KEY: "${DESK_KEY}" }',
            "actor: desk\n      delivery:\n": 'actor: desk\n      config: { key: "${ROUTE_KEY}" }\n      delivery:\n',
        },
    }
    for name, changed in changes.items():
        file = projects / name
        text = file.read_text()
        for before, after in changed.items():
            assert text.count(before) == 1, (name, before)
            text = text.replace(before, after)
        file.write_text(text)
    (projects / "work.sh").write_text(WORK)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Both teams, loaded; each actor has worked, and each has failed at something."""
    directory = tmp_path_factory.mktemp("secrets")
    projects, dump = directory / "projects", directory / "dump"
    shutil.copytree(EXAMPLE, projects, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    plant(projects)
    chat = ThreadingHTTPServer(("127.0.0.1", 0), Talkative)
    chat.daemon_threads = True
    thread = Thread(target=chat.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    variables = {**VARIABLES, "CHAT_URL": f"http://127.0.0.1:{chat.server_port}", "DUMP": str(dump)}
    files = [projects / team / "orgloop.yaml" for team in ("engineering", "support")]
    try:
        with open_daemon(directory, *files, variables=variables) as daemon:
            environ = os.environ | variables | {"ORGLOOP_HOME": str(daemon.home.path), "HOME": str(directory)}
            stage = Stage(daemon, projects, dump, environ)
            work(stage)
            yield stage
    finally:
        chat.shutdown()
        chat.server_close()
        thread.join()


def work(stage: Stage) -> None:
    """Post to every door, also with a signature that is wrong; wait until all has ended."""
    issue = json.loads((EXAMPLE / "events/issue-opened.json").read_text())
    poison = {"type": "ticket", "text": "poison"}
    assert post(stage, "engineering/github", issue, secret=VARIABLES["GITHUB_WEBHOOK_SECRET"]) == 200
    assert post(stage, "engineering/github", issue, secret=INLINE["source"]) == 200
    assert post(stage, "engineering/github", issue, secret="a guess") == 401
    assert post(stage, "tickets", poison, secret=VARIABLES["TICKETS_SECRET"]) == 200
    until(lambda: all(stage.daemon.settled(name) for name in ("engineering", "support")), what="work goes on")
    until(lambda: len(letters(stage)) >= 3, what="chat and desk refuse: there must be dead letters")


def letters(stage: Stage) -> list[dict[str, str]]:
    items: list[dict[str, str]] = stage.daemon.client.get("/api/v1/dead-letters")["items"]
    return items


def post(stage: Stage, source: str, body: object, *, secret: str) -> int:
    content = json.dumps(body).encode()
    digest = hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()
    connection = http.client.HTTPConnection("127.0.0.1", stage.daemon.port, timeout=10)
    headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={digest}"}
    connection.request("POST", f"/webhook/{source}", content, headers)
    status = connection.getresponse().status
    connection.close()
    return status


def forms(secret: str) -> set[str]:
    """A secret as it stands, and as it stands in JSON and in a URL."""
    return {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret),
        quote(secret, safe=""),
    }


def leaks(text: str, *, but: tuple[str, ...] = ()) -> list[str]:
    """Secrets that stand in a text, with what is around them."""
    found = [form for one in SECRETS if one not in but for form in forms(one) if form in text]
    return [text[max(0, text.index(form) - 200) : text.index(form) + 60] for form in found]


@pytest.mark.slow
def test_an_actor_is_given_its_own_and_nothing_else(stage: Stage) -> None:
    """Of all secrets, in its environment and on its standard input: those of its config, and of its route."""
    triage, desk = stage.given("triage"), stage.given("desk")

    assert {one for one in SECRETS if one in triage} == {VARIABLES["TRIAGE_KEY"], INLINE["env"]}
    assert {one for one in SECRETS if one in desk} == {VARIABLES["DESK_KEY"], VARIABLES["ROUTE_KEY"]}
    assert stage.daemon.home.token.read_text().strip() not in triage + desk


@pytest.mark.slow
def test_no_file_of_the_home_has_one(stage: Stage) -> None:
    """
    Log files, dead letters, the log of events, what is loaded; nor what the daemon has printed.

    What it keeps of a project's own files, so as to read them faster, has what stands there literally, for its owner.
    """
    token = stage.daemon.home.token.read_text().strip()
    files = [path for path in stage.daemon.home.path.rglob("*") if path.is_file() and path != stage.daemon.home.token]
    texts = {path: path.read_bytes().decode("utf-8", "replace") for path in [*files, stage.daemon.said]}

    assert any("dead-letters" in str(path) for path in texts)
    assert any(path.name == "orgloop.log" for path in texts)
    assert any("***" in text for text in texts.values())
    for path, text in texts.items():
        is_copy = path.parent.name == "cache"
        assert not leaks(text, but=tuple(INLINE.values()) if is_copy else ()), path
        assert not is_copy or path.stat().st_mode & 0o077 == 0
    assert not [path for path, text in texts.items() if token in text]


@pytest.mark.slow
def test_no_question_is_answered_with_one(stage: Stage) -> None:
    """Every GET of the table, for both modules and all their parts."""
    client, asked = stage.daemon.client, 0
    parts = {
        "{name}": ["engineering", "support"],
        "sources/{id}": ["sources/github", "sources/tickets"],
        "actors/{id}": ["actors/triage", "actors/chat", "actors/desk"],
        "routes/{id}": ["routes/triage-issues", "routes/tell-chat", "routes/new-tickets"],
        "dead-letters/{id}": [f"dead-letters/{letter['id']}" for letter in letters(stage)],
        "events/{id}": [f"events/{item['event']['id']}" for item in client.get("/api/v1/events")["items"]],
    }
    for route in TABLE:
        if route.method != "GET" or route.media_type == EVENT_STREAM:
            continue
        place = next((place for place in parts if place in route.path), None)
        paths = [route.path] if place is None else [route.path.replace(place, name) for name in parts[place]]
        for path in paths:
            query = {"session_key": "none"} if path in ("/api/inbox/status", "/api/inbox/drain") else {}
            with suppress(Refused):  # there may be nothing of that kind, such as an event that is held
                assert not leaks(json.dumps(client.get(path, **query))), path
                asked += 1
    assert asked > 40


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    ["inspect source github", "inspect actor triage", "inspect actor chat", "inspect route tell-chat",
     "inspect transform people-only", "plan", "validate", "doctor", "env", "routes", "status", "tree", "dlq list",
     "logs --no-follow", "module list", "module status"],
)  # fmt: skip
@pytest.mark.parametrize("form", ["--json", "--verbose"])
def test_no_command_prints_one(stage: Stage, command: str, form: str) -> None:
    """For people or for programs."""
    arguments = [form, *command.split()]
    if command.startswith("logs") and form == "--json":
        arguments = command.split()

    assert not leaks(stage.run(*arguments))


@pytest.mark.slow
def test_the_ways_of_what_has_happened_print_none(stage: Stage) -> None:
    """A dead letter shown, and the way of an event explained."""
    for letter in letters(stage):
        assert not leaks(stage.run("--json", "dlq", "show", letter["id"]))
    for item in stage.daemon.client.get("/api/v1/events")["items"]:
        assert not leaks(stage.run("--json", "explain", item["event"]["id"]))


@pytest.mark.slow
def test_the_stream_of_notices_has_none(stage: Stage) -> None:
    """While the chat refuses once more, and repeats all that it was told."""
    issue = json.loads((EXAMPLE / "events/issue-closed.json").read_text())
    later = Timer(0.5, post, (stage, "engineering/github", issue), {"secret": VARIABLES["GITHUB_WEBHOOK_SECRET"]})
    later.start()
    said = []
    for message in stage.daemon.client.stream("/api/v1/logs"):
        said.append(message.data)
        if "Webhook rejected" in message.data:
            break
    later.join()

    assert "***" in said[-1]
    assert not leaks("".join(said))


@pytest.mark.slow
def test_a_plan_of_other_secrets_shows_neither_the_old_nor_the_new(stage: Stage) -> None:
    """That one has changed, and nothing of it."""
    others = {name: value.replace("planted", "renewed") for name, value in VARIABLES.items()}
    changed = attrs.evolve(stage, environ={**stage.environ, **others})
    for form in ("--json", "--verbose"):
        shown = changed.run(form, "plan")
        assert not leaks(shown)
        assert "renewed" not in shown


@pytest.mark.slow
def test_a_fault_beside_one_does_not_quote_it(stage: Stage) -> None:
    """The line of the file is shown without the variable's value, also in what the daemon answers and writes down."""
    file = stage.projects / "engineering/orgloop.yaml"
    text = file.read_text()
    file.write_text(text.replace('"${CHAT_HEADER}"', '["${CHAT_HEADER}"]'))
    try:
        shown = [stage.run(form, command) for form in ("--json", "-v") for command in ("validate", "plan", "doctor")]
        shown.append(stage.run("--json", "module", "reload", "engineering"))
    finally:
        file.write_text(text)

    assert not leaks("".join(shown))
    assert all("OL" in one or "headers" in one for one in shown)
