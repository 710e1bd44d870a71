"""What hooks leave in a home, and how a daemon takes it in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from orgloop.daemon.home import Home, prepare_home
from orgloop.daemon.spool import Spooled, leave, read, spool_of, waiting
from orgloop.daemon.taking import MOST_ROUNDS, Taker
from orgloop.errors import BusFull, EventError, HomeError, UnknownSource
from orgloop.sdk import Request, Response

STOP = Spooled(source="claude-code", headers={"x-a": "b"}, body=b'{"session_id": "\xff"}')


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    prepare_home(home)
    return home


@attrs.define
class Runtime:
    """Receives, and answers or raises as it is told."""

    answer: Response | Exception = attrs.field(factory=Response)
    received: list[tuple[str, str | None, Request]] = attrs.field(factory=list)
    told: list[tuple[str, Any]] = attrs.field(factory=list)

    async def receive(self, source: str, request: Request, *, module: str | None = None) -> Response:
        self.received.append((source, module, request))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def tell(self, phase: str, **fields: Any) -> None:
        self.told.append((phase, fields["error"]))


async def taken(home: Home, runtime: Runtime, *, rounds: int = 1) -> None:
    """So many rounds of a daemon."""
    taker = Taker(home, runtime.receive, runtime.tell)
    for _ in range(rounds):
        for path in waiting(home):
            await taker.take(path)


def refused(home: Home) -> list[str]:
    folder = spool_of(home) / "refused"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_what_was_left_is_read_as_it_was(home: Home) -> None:
    """Every byte of it; nobody else may read it."""
    path = leave(home, STOP)

    assert read(path) == STOP
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_what_waits_is_in_order(home: Home) -> None:
    """Of the time at which it was left."""
    paths = [leave(home, attrs.evolve(STOP, source=f"s{number}")) for number in range(20)]
    assert waiting(home) == paths


def test_too_much_is_refused(home: Home) -> None:
    """Whoever leaves one more hears of it."""
    leave(home, STOP)
    with pytest.raises(HomeError, match=r"1 requests wait in .* already; start the daemon"):
        leave(home, STOP, most_files=1)


async def test_what_waits_is_received_as_if_it_had_been_sent(home: Home) -> None:
    """And is gone when it was answered."""
    leave(home, attrs.evolve(STOP, module="ops"))
    runtime = Runtime()
    await taken(home, runtime)

    ((source, module, request),) = runtime.received
    assert (source, module, request.path) == ("claude-code", "ops", "/webhook/ops/claude-code")
    assert (request.headers, request.body) == (STOP.headers, STOP.body)
    assert (waiting(home), refused(home)) == ([], [])


@pytest.mark.parametrize("answer", [Response(503), Response(429), BusFull("full"), UnknownSource("not loaded")])
async def test_what_cannot_be_taken_now_stays(home: Home, answer: Response | Exception) -> None:
    """For the next round."""
    path = leave(home, STOP)
    await taken(home, Runtime(answer))
    assert waiting(home) == [path]


@pytest.mark.parametrize("answer", [Response(401, "Invalid signature"), Response(400), EventError("no event")])
async def test_what_is_refused_for_what_it_is_is_put_aside_and_told(home: Home, answer: Response | Exception) -> None:
    """For a person to look at."""
    path = leave(home, STOP)
    runtime = Runtime(answer)
    await taken(home, runtime)

    assert (waiting(home), refused(home)) == ([], [path.name])
    assert [phase for phase, _ in runtime.told] == ["system.error"]


async def test_what_a_source_fails_at_again_and_again_is_put_aside(home: Home) -> None:
    """It would stand in nobody's way, but it would never end; a source that is not there fails at nothing."""
    path = leave(home, STOP)
    await taken(home, Runtime(UnknownSource("not loaded")), rounds=2 * MOST_ROUNDS)
    await taken(home, Runtime(Response(500)), rounds=MOST_ROUNDS)
    assert refused(home) == [path.name]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"source": 1}', b'{"source":"a","module":null,"body":"%"}'])
async def test_what_is_no_request_is_put_aside(home: Home, content: bytes) -> None:
    """It was written by somebody else, or by half."""
    leave(home, STOP)
    (path,) = waiting(home)
    path.write_bytes(content)
    runtime = Runtime()
    await taken(home, runtime)

    assert (runtime.received, refused(home)) == ([], [path.name])


async def test_a_link_in_the_spool_leads_nowhere(home: Home, tmp_path: Path) -> None:
    """K8: what it points to is not read, and not touched."""
    leave(home, STOP)
    (path,) = waiting(home)
    target = path.rename(tmp_path / "target")
    path.symlink_to(target)
    runtime = Runtime()
    await taken(home, runtime)

    assert (runtime.received, target.exists()) == ([], True)
