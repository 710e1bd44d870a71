"""
The main job, end to end, on a home and a disk of its own: ``make demo``.

    orgloop (supervised daemon)
    └── modules
        ├── engineering     github ──▶ triage (a command) ──▶ its end is an event ──▶ chat (a webhook)
        └── support         engineering:github, tickets ──▶ desk (a command)

No account, no network, no Docker. Everything that is posted is written down here; at the end every accepted event must
have ended in exactly the places where it should, through a reload, a refused reload and a ``kill -9``.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REAL_BODIES = HERE.parents[2] / "shared" / "data" / "github-webhooks"
GITHUB_SECRET, TICKETS_SECRET = "a secret of the tour", "another secret of the tour"
STEADY_PER_S, BURST = 100, 300
LIMIT_S = 60.0

Body = dict[str, Any]


# -- the outside: a chat that is told things ---------------------------------------------------------------------------


class Server(ThreadingHTTPServer):
    """Says nothing of a client that is killed amid a request, as the tour does."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of anything else."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Chat:
    """Takes what is posted to it, but not always at the first attempt."""

    def __init__(self) -> None:
        self.seen: defaultdict[str, set[str]] = defaultdict(set)
        self.texts: list[str] = []
        self._asked: set[str] = set()
        chat = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                content = self.rfile.read(length)
                if not content or len(content) < length:
                    return  # whoever asked was killed amid it
                body = json.loads(content)
                status = chat.hear(self.headers["X-OrgLoop-Event-Id"], self.headers["Idempotency-Key"], body["text"])
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def hear(self, event: str, key: str, text: str) -> int:
        """Every fiftieth is refused once, so that retries are seen at work."""
        if key not in self._asked:
            self._asked.add(key)
            if len(self._asked) % 50 == 0:
                return 503
        self.seen[event].add(key)
        self.texts.append(text)
        return 200


# -- the tour ----------------------------------------------------------------------------------------------------------


class Tour:
    """A home, two projects in copies that may be changed, and a ledger of all that was accepted."""

    def __init__(self, directory: Path) -> None:
        self.home, self.projects, self.ledger = directory / "home", directory / "projects", directory / "ledger"
        shutil.copytree(HERE, self.projects, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
        self.chat = Chat()
        self.accepted: dict[str, Body] = {}
        self.tickets: dict[str, Body] = {}
        self.answers: defaultdict[int | str, int] = defaultdict(int)
        self._lock = threading.Lock()
        self._numbers = iter(range(10**9))
        self.environment = os.environ | {
            "ORGLOOP_HOME": str(self.home),
            "ORGLOOP_PORT": "0",
            "GITHUB_WEBHOOK_SECRET": GITHUB_SECRET,
            "TICKETS_SECRET": TICKETS_SECRET,
            "LEDGER": str(self.ledger),
            "CHAT_URL": f"http://127.0.0.1:{self.chat.server.server_port}/",
        }

    # -- tools ---------------------------------------------------------------------------------------------------------

    def orgloop(self, *arguments: str, ends_with: int = 0, shows: int = 12) -> str:
        """Run a command as a user would, and show it."""
        print(f"\n$ orgloop {' '.join(arguments)}")
        command = [sys.executable, "-m", "orgloop", *arguments]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
        lines = (done.stdout + done.stderr).replace(str(self.projects), ".").splitlines()
        print("\n".join(f"  {line}" for line in lines[:shows]))
        if len(lines) > shows:
            print(f"  … {len(lines) - shows} lines more")
        assert done.returncode == ends_with, f"it ended with {done.returncode}, not {ends_with}"
        return done.stdout

    def as_json(self, *arguments: str) -> Any:
        """What a command says to programs."""
        command = [sys.executable, "-m", "orgloop", "--json", *arguments]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=LIMIT_S, check=True
        )
        return json.loads(done.stdout)

    @property
    def port(self) -> int:
        return int((self.home / "runtime.port").read_text())

    def post(self, source: str, body: Body, *, secret: str, delivery: str | None = None) -> tuple[int, Body]:
        """Post one body, signed, as GitHub does; the status, and the answer."""
        content = json.dumps(body).encode()
        digest = hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Hub-Signature-256": f"sha256={digest}",
            "X-GitHub-Delivery": delivery or f"delivery-{next(self._numbers)}",
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request("POST", f"/webhook/{source}", content, headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        return answer.status, json.loads(text) if text else {}

    def send(self, body: Body, *, source: str = "engineering/github", again: bool = False) -> int | str:
        """Have one body accepted, and write down what it became; with ``again``, however long that takes."""
        secret = GITHUB_SECRET if source.endswith("github") else TICKETS_SECRET
        delivery = f"delivery-{next(self._numbers)}"
        deadline_s = time.monotonic() + LIMIT_S
        while True:
            try:
                status: int | str
                status, answer = self.post(source, body, secret=secret, delivery=delivery)
            except (OSError, http.client.HTTPException, ValueError) as exc:
                status, answer = type(exc).__name__, {}
            with self._lock:
                self.answers[status] += 1
                if status == 200:
                    kept = self.accepted if source.endswith("github") else self.tickets
                    kept[answer["event_id"]] = body
            if status == 200 or not again or time.monotonic() > deadline_s:
                return status
            time.sleep(0.05)

    def until(self, what: str, true: Callable[[], bool]) -> float:
        """Wait for something; how long that took."""
        began_s = time.monotonic()
        while not true():
            assert time.monotonic() - began_s < LIMIT_S, f"after {LIMIT_S:g} s still not so: {what}"
            time.sleep(0.02)
        took_s = time.monotonic() - began_s
        print(f"  ✓ {what} ({took_s:.1f} s)")
        return took_s

    # -- chapters ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """A supervised daemon with one team, and another team that joins it."""
        say("A supervised daemon with the engineering team; then the support team joins it")
        self.orgloop("start", "--daemon", "--supervised", "-c", str(self.projects / "engineering" / "orgloop.yaml"))
        self.orgloop("module", "load", str(self.projects / "support"))
        self.orgloop("module", "list")

    def bodies(self) -> list[Body]:
        """Our own, and real ones where there are some."""
        paths = sorted((HERE / "events").glob("*.json"))
        if REAL_BODIES.is_dir():
            paths += sorted(REAL_BODIES.glob("*.json"))
        bodies: list[Body] = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        print(f"  {len(bodies)} bodies, {len(bodies) - len(list((HERE / 'events').glob('*.json')))} of them real")
        return [body for body in bodies if "action" in body]

    def doors(self, bodies: list[Body]) -> None:
        """What is signed is taken, what is not is refused, what comes twice is admitted once."""
        say("Webhooks: signed, forged, and delivered twice")
        for body in bodies:
            assert self.send(body) == 200
        print(f"  ✓ {len(bodies)} signed bodies accepted, each with its event on disk")
        status, answer = self.post("engineering/github", bodies[0], secret="a guess")
        assert status == 401, status
        print(f"  ✓ a forged one is answered {status} {answer}")
        before = len(self.accepted)
        first = self.post("engineering/github", bodies[0], secret=GITHUB_SECRET, delivery="the-same")
        second = self.post("engineering/github", bodies[0], secret=GITHUB_SECRET, delivery="the-same")
        assert first[0] == second[0] == 200, (first, second)
        self.accepted[first[1]["event_id"]] = bodies[0]
        assert len(self.accepted) == before + 1
        print("  ✓ the same delivery twice: both answered 200, one event")
        assert self.send({"type": "ticket", "text": "My cup broke"}, source="tickets") == 200
        assert self.send({"type": "ticket", "text": "poison"}, source="tickets") == 200
        event = next(id_ for id_, body in self.accepted.items() if body["sender"].get("type") == "Bot")
        self.orgloop("explain", event, shows=24)

    def reload_under_load(self, bodies: list[Body]) -> None:
        """A module changes while a hundred requests a second come in, and nobody is refused."""
        say(f"A reload of the support team, under {STEADY_PER_S} requests a second")
        self.answers.clear()
        stop = threading.Event()
        load = threading.Thread(target=self._steadily, args=(stop, bodies))
        load.start()
        time.sleep(0.5)
        routes = self.projects / "support" / "orgloop.yaml"
        text = routes.read_text()
        routes.write_text(text.replace("[opened, closed]", "[opened, closed, reopened]"))
        self.orgloop("module", "reload", "support")
        time.sleep(0.5)
        say("A reload of a broken file: refused, and everything goes on as it was")
        routes.write_text(text.replace("actor: desk", "actor: dask", 1))
        self.orgloop("module", "reload", "support", ends_with=1)
        routes.write_text(text.replace("[opened, closed]", "[opened, closed, reopened]"))
        time.sleep(0.3)
        stop.set()
        load.join()
        refused = {status: count for status, count in self.answers.items() if status != 200}
        assert not refused, f"refused: {refused}"
        print(f"  ✓ {self.answers[200]} requests meanwhile, every one accepted")

    def _steadily(self, stop: threading.Event, bodies: list[Body]) -> None:
        due_s = time.monotonic()
        while not stop.is_set():
            self.send(bodies[next(self._numbers) % len(bodies)])
            due_s += 1 / STEADY_PER_S
            time.sleep(max(0.0, due_s - time.monotonic()))

    def kill(self, bodies: list[Body]) -> None:
        """The runtime is killed in the middle of it, and comes back by itself."""
        say(f"kill -9 in the middle of {BURST} requests")
        before = int((self.home / "orgloop.pid").read_text())
        senders = [threading.Thread(target=self._burst, args=(bodies, BURST // 4)) for _ in range(4)]
        for sender in senders:
            sender.start()
        time.sleep(0.4)
        os.kill(before, signal.SIGKILL)
        killed_s = time.monotonic()
        print(f"  killed process {before}")

        def is_back() -> bool:
            try:
                return int((self.home / "orgloop.pid").read_text()) != before and self.as_json("status")["running"]
            except (OSError, ValueError, subprocess.CalledProcessError):
                return False

        self.until("the supervisor has started it again", is_back)
        for sender in senders:
            sender.join()
        print(f"  ✓ all {BURST} accepted in the end; the last {time.monotonic() - killed_s:.1f} s after the kill")
        self.orgloop("status", shows=20)

    def _burst(self, bodies: list[Body], count: int) -> None:
        for _ in range(count):
            self.send(bodies[next(self._numbers) % len(bodies)], again=True)

    def dead_letters(self) -> None:
        """What cannot be done waits for a person, who has it tried again."""
        say("A dead letter, replayed when its cause is cured")
        self.until("the poisoned ticket is a dead letter", lambda: len(self.as_json("dlq", "list")["items"]) > 0)
        self.orgloop("dlq", "list")
        Path(f"{self.ledger}.cured").touch()
        (letter,) = self.as_json("dlq", "list")["items"]
        self.orgloop("dlq", "replay", letter["id"])
        self.until("there are no dead letters any more", lambda: self.as_json("dlq", "list")["items"] == [])

    def check(self) -> None:
        """Every accepted event is where it should be, and nowhere else."""
        say("The ledger: what was accepted, and what was done")
        expected = set(self._expected())
        try:
            self.until(f"all {len(expected)} deliveries are done", lambda: expected <= set(self.done()))
        finally:
            for actor, event in sorted(expected - set(self.done()))[:5]:
                self.orgloop("logs", "--event", event, "--no-follow", shows=20)
                print(f"  ✗ {actor} has not done {event}")
        done = self.done()
        strangers = set(done) - expected
        assert not strangers, f"nobody asked for these: {sorted(strangers)[:3]}"
        doubled = [place for place, keys in done.items() if len(keys) > 1]
        assert not doubled, f"these have more than one key: {doubled[:3]}"
        print(f"  ✓ {len(expected)} expected, {len(done)} done, none too many; each under one idempotency key")
        self.until("nothing is in flight", lambda: all(c["in_flight"] == 0 for c in self._counts()))
        for counts in self._counts():
            ends = counts["delivered"] + counts["dropped"] + counts["dead"] + counts.get("expired", 0)
            assert counts["admitted"] == ends, counts
        print("  ✓ admitted = delivered + dropped + dead, for every module")
        self.orgloop("tree", shows=40)

    def _counts(self) -> list[dict[str, int]]:
        return [module["counts"] for module in self.as_json("status")["modules"]]

    def _expected(self) -> Iterator[tuple[str, str]]:
        for event, body in self.accepted.items():
            is_person = body["sender"].get("type") != "Bot"
            if is_person:
                yield "chat", event
            if is_person and body["action"] in ("opened", "assigned", "labeled"):
                yield "triage", event
            if body["action"] in ("opened", "closed"):
                yield "desk", event
        for event in self.tickets:
            yield "desk", event

    def done(self) -> dict[tuple[str, str], set[str]]:
        """Who has done what, and under which keys; what follows from a triage is not of the ledger."""
        done: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        if self.ledger.exists():
            for line in self.ledger.read_text().splitlines():
                actor, event, key = line.split(" ")
                done[actor, event].add(key)
        for event, keys in list(self.chat.seen.items()):
            if event in self.accepted:
                done["chat", event] |= keys
        return dict(done)

    def stop(self) -> None:
        """Everything down, in order."""
        say("A graceful stop")
        began_s = time.monotonic()
        self.orgloop("shutdown")
        print(f"  ✓ stopped in {time.monotonic() - began_s:.1f} s, the command line's own start included")


def say(chapter: str) -> None:
    """Begin a chapter."""
    print(f"\n=== {chapter}")


def main() -> None:
    """All chapters, one after the other; the daemon is gone at the end, however that comes."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with tempfile.TemporaryDirectory(prefix="orgloop-demo-") as directory:
        tour = Tour(Path(directory))
        try:
            tour.start()
            bodies = tour.bodies()
            tour.doors(bodies)
            tour.reload_under_load(bodies)
            tour.kill(bodies)
            tour.dead_letters()
            tour.check()
            tour.stop()
        finally:
            command = [sys.executable, "-m", "orgloop", "shutdown", "--force"]
            subprocess.run(command, env=tour.environment, capture_output=True, timeout=LIMIT_S, check=False)
    print("\nThe ledger is exact.")


if __name__ == "__main__":
    main()
