"""
A jq program in a process of its own, which can be killed: the daemon's side of ``_jq_worker.py``.

Law: an answer is read to its end or the worker is killed, so no event is ever given the answer of another.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from subprocess import DEVNULL, PIPE

import trio

from orgloop.sdk import TransformFailed
from orgloop.transforms._command import LIMIT_BYTES

START_S = 10.0
"""How long a worker may take to be ready; on a quiet machine it takes some 20 ms."""

REAP_S = 2.0
"""How long a killed worker is waited for."""

_WORKER = Path(__file__).with_name("_jq_worker.py")


class Jq:
    """One program, and the worker that runs it: started with the first event, and anew after one that killed it."""

    def __init__(self, program: str, *, timeout_s: float) -> None:
        """ValueError for a program that jq cannot compile."""
        import jq  # type: ignore[import-not-found]

        if not program.strip():
            raise ValueError(f"{program!r} is not a program; write one, as in '.payload.priority > 3'")
        if not timeout_s > 0:
            raise ValueError(f"no program is done within {timeout_s!r} s; write a jq_timeout above 0, as in 5s")
        try:
            jq.compile(program)
        except ValueError as exc:
            raise ValueError(f"{program!r} cannot be compiled ({exc}); try it on an event with `jq -e`") from exc
        self.order = json.dumps({"program": program, "timeout_s": timeout_s}).encode()
        # Where jq is, said by us: neither an environment nor a `site` of its own decides what the worker imports.
        self.argv = [sys.executable, "-I", "-S", str(_WORKER), str(Path(jq.__file__).parent)]
        self._timeout_s = timeout_s
        self._worker: trio.Process | None = None
        self._turn = trio.Lock()

    async def ask(self, event: bytes) -> tuple[bytes, bytes]:
        """
        The verdict over an event in JSON, ``pass``, ``drop``, ``replace`` or ``error``, and the JSON that goes with it.

        Raises :class:`TransformFailed` if there is none in time, or if the worker died of the question.
        """
        async with self._turn:
            if self._worker is None or self._worker.returncode is not None:
                await self._start()
            answer = await self._exchange(event, within_s=self._timeout_s)
        verdict, _, said = answer.partition(b" ")
        return verdict, said

    async def _start(self) -> None:
        await self.aclose()
        try:
            # An empty environment: `$ENV` in a program shows none of the daemon's secrets.
            self._worker = await trio.lowlevel.open_process(
                self.argv, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={}, start_new_session=True
            )
        except OSError as exc:
            raise TransformFailed(f"the jq worker cannot be started: {exc}") from exc
        await self._exchange(self.order, within_s=START_S)

    async def _exchange(self, line: bytes, *, within_s: float) -> bytes:
        worker, answer = self._worker, b""
        assert worker is not None
        try:
            with trio.move_on_after(within_s) as deadline:
                answer = await _answer(worker, line)
        finally:
            if not answer.endswith(b"\n"):
                await self.aclose()
        if answer.endswith(b"\n"):
            return answer[:-1]
        if answer:
            raise TransformFailed(f"jq made more than {LIMIT_BYTES} bytes of this event")
        if deadline.cancelled_caught or worker.returncode == -signal.SIGALRM:
            raise TransformFailed(
                f"jq came to no end within {within_s:g} s and was killed; look for a loop in the program, such as"
                " `range`, `repeat` or `while`"
            )
        raise TransformFailed(f"jq died (status {worker.returncode}), most likely of its limit of memory")

    async def aclose(self) -> None:
        """Kill the worker, if there is one, and wait for its end."""
        worker, self._worker = self._worker, None
        if worker is None:
            return
        worker.kill()
        for pipe in (worker.stdin, worker.stdout):
            if isinstance(pipe, trio.lowlevel.FdStream):
                pipe.close()
        with trio.move_on_after(REAP_S, shield=True):
            await worker.wait()


async def _answer(worker: trio.Process, line: bytes) -> bytes:
    """A line for a line: without its newline if it is too long, empty if the worker is gone."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    answer = bytearray()
    try:
        await worker.stdin.send_all(line + b"\n")
        while not answer.endswith(b"\n") and len(answer) <= LIMIT_BYTES:
            piece = await worker.stdout.receive_some()
            if not piece:
                return b""
            answer += piece
    except trio.BrokenResourceError:
        return b""
    return bytes(answer)
