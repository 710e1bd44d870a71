"""Signs of life, on a virtual clock."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import attrs
import trio
from trio.testing import MockClock

from orgloop.daemon.heartbeat import Heartbeat, encode_heartbeat


@attrs.define
class Listener:
    """Writes down when it heard, and when a file was written."""

    told: list[float] = attrs.field(factory=list)
    written: list[float] = attrs.field(factory=list)

    def tell(self) -> None:
        self.told.append(trio.current_time())

    async def write(self) -> None:
        self.written.append(trio.current_time())

    async def listen(
        self, is_progressing: Callable[[], bool], *, for_s: float, write: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Let a heart beat for so long."""
        with trio.move_on_after(for_s):
            await Heartbeat(is_progressing, self.tell, write or self.write, 5.0).run()


async def test_it_beats_every_five_seconds_and_writes_every_thirty(autojump_clock: MockClock) -> None:
    """Whoever supervises hears at once, and often enough to miss a few."""
    heard = Listener()
    await heard.listen(lambda: True, for_s=61)

    assert heard.told == [5.0 * beat for beat in range(13)]
    assert heard.written == [0.0, 30.0, 60.0]


async def test_a_runtime_that_does_not_get_on_is_silent(autojump_clock: MockClock) -> None:
    """The loop turns, and yet neither the watchdog nor the file is told that all is well."""
    heard = Listener()
    await heard.listen(lambda: not 10 <= trio.current_time() <= 40, for_s=46)

    assert heard.told == [0.0, 5.0, 45.0]
    assert heard.written == [0.0, 45.0]


async def test_a_disk_that_hangs_does_not_stop_the_heart(autojump_clock: MockClock) -> None:
    """The file is late; the runtime is not killed for it."""
    heard = Listener()
    await heard.listen(lambda: True, for_s=20, write=trio.sleep_forever)

    assert heard.told == [0.0, 8.0, 13.0, 18.0]


def test_the_file_says_who_since_when_and_what_else() -> None:
    """The members of the original, and what the runtime adds."""
    content = json.loads(encode_heartbeat(uptime_s=1.5, now_s=0.0, about={"modules": 3}))

    assert content.keys() == {"pid", "timestamp", "uptime_ms", "modules"}
    assert (content["uptime_ms"], content["timestamp"], content["modules"]) == (1500, "1970-01-01T00:00:00.000Z", 3)
