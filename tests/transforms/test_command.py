"""The runner of commands, at its edges."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest
import trio

from orgloop.transforms._command import TAIL_BYTES, Ended, environment, run
from tests.transforms.stage import appeared, executable, gone


async def ended(tmp_path: Path, text: str, *, limit_bytes: int = 1000, grace_s: float = 0.1) -> Ended:
    path = executable(tmp_path / "command.sh", text)
    return await run([path], stdin=b"", env=environment({}), limit_bytes=limit_bytes, grace_s=grace_s)


async def test_output_up_to_the_limit_is_all_there(tmp_path: Path) -> None:
    """To the byte."""
    result = await ended(tmp_path, "printf %01000d 7")

    assert (result.status, len(result.stdout), result.overflowed) == (0, 1000, False)


async def test_one_byte_more_is_too_much(tmp_path: Path) -> None:
    """And ends it, however much it would still have written."""
    assert (await ended(tmp_path, "printf %01001d 7; exec yes")).overflowed


async def test_a_hundred_megabytes_are_never_held(tmp_path: Path) -> None:
    """It is ended at the limit; nobody reads the rest."""
    result = await ended(tmp_path, "exec head -c 100000000 /dev/zero")

    assert result.overflowed
    assert len(result.stdout) < 200_000


async def test_a_signal_is_a_negative_status(tmp_path: Path) -> None:
    """As subprocess has it."""
    assert (await ended(tmp_path, "kill -TERM $$")).status == -15


async def test_the_last_words_are_kept(tmp_path: Path) -> None:
    """The last of them."""
    result = await ended(tmp_path, "head -c 100000 /dev/zero | tr '\\0' x >&2; echo end >&2")

    assert result.stderr.endswith("xend")
    assert len(result.stderr) <= TAIL_BYTES


async def test_who_hears_the_first_signal_may_clean_up(tmp_path: Path) -> None:
    """SIGTERM comes first."""
    text = f"trap 'echo bye > {tmp_path}/bye; exit' TERM; sleep 60 & echo $! > {tmp_path}/child; wait"
    await cancelled(tmp_path, text, grace_s=2)

    assert (tmp_path / "bye").read_text() == "bye\n"


async def test_who_ignores_it_is_killed_after_a_while(tmp_path: Path) -> None:
    """Its children as well."""
    text = f"trap '' TERM; sleep 60 & echo $! > {tmp_path}/child; while :; do sleep 0.02; done"

    began_s = time.monotonic()
    child = await cancelled(tmp_path, text, grace_s=0.1)

    assert 0.1 <= time.monotonic() - began_s < 2
    await gone(child)


async def cancelled(tmp_path: Path, text: str, *, grace_s: float) -> int:
    """Run a command until it has written down its child, then give it up; the child."""
    path = executable(tmp_path / "command.sh", text)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(run, [path], stdin=b"", env=environment({}), grace_s=grace_s))
        child = int(await appeared(tmp_path / "child"))
        nursery.cancel_scope.cancel("given up")
    return child


async def test_a_cancel_before_the_start_starts_nothing(tmp_path: Path) -> None:
    """No process is left without somebody to reap it."""
    with trio.CancelScope() as scope:
        scope.cancel("at once")
        await ended(tmp_path, f"touch {tmp_path}/started")

    assert not (tmp_path / "started").exists()


def test_there_is_always_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if we have none ourselves."""
    for name in ("PATH", "HOME", "LANG"):
        monkeypatch.delenv(name, raising=False)

    assert environment({"A": "b"}).keys() == {"PATH", "A"}
