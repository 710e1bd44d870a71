"""
Running the container of a delivery, and telling what its end means.

    there is none of its name      made, given the event, started, waited for
    made, and never started        removed, and made again: its maker died before it had the event
    running                        waited for: an earlier attempt has started it, and died
    ended                          its end is what came of it

Its name is made of the idempotency key, and the engine takes no name twice; so two attempts never run at once.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import attrs
import trio

from orgloop.sdk import Delivered, Delivery, Failed, OrgLoopError, Outcome, Place, Rejected, Skipped, encode
from orgloop_connectors._command import Output
from orgloop_connectors._http import Answer, NoAnswer
from orgloop_connectors._identity import identity_variables
from orgloop_connectors.docker.completion import completion
from orgloop_connectors.docker.config import KEEP_BYTES, TEMPFAIL, DockerConfig, Mount
from orgloop_connectors.docker.engine import Engine, State, Trouble

LABEL = "org.orgloop."
"""What our labels begin with, for ``docker ps --filter label=org.orgloop.module=…``."""

CLEAR_S = 10.0
"""How long the engine may take to remove a container, beyond the grace that the container has."""

MAX_EXCERPT_CHARS = 300
"""How much of what a container said is told in a reason."""

KEY = f"{LABEL}idempotency-key"

_LOG = {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}}


@attrs.frozen
class Run:
    """The container of one delivery."""

    image: str
    config: DockerConfig
    place: Place
    engine: Engine
    delivery: Delivery

    @property
    def name(self) -> str:
        """Of the container."""
        return name_of(self.delivery.idempotency_key)

    async def outcome(self) -> Outcome:
        """Run it to its end; whichever way this is left, it is gone. :class:`Trouble` if the engine does not."""
        event = encode(self.delivery.event) + b"\n"
        async with self._cleared():
            if await self._is_made():
                await self._give(event)
            else:
                await self.engine.wait(self.name)
            state = await self.engine.state(self.name)
            if state is None or state.status not in ("exited", "dead"):
                return Failed(f"{self.image}: Docker does not say how it ended")
            return await self._told(state, *await self.engine.logs(self.name))

    @asynccontextmanager
    async def _cleared(self) -> AsyncGenerator[None]:
        """Whatever happens meanwhile, the container is gone afterwards."""
        try:
            yield
        finally:
            with trio.move_on_after(self.config.grace_s + CLEAR_S, shield=True), suppress(Trouble):
                state = await self.engine.state(self.name)
                # One of that name that is another's is none of ours to remove.
                if state is not None and state.labels.get(KEY) == self.delivery.idempotency_key:
                    if state.status in ("running", "paused", "restarting"):
                        with suppress(Trouble):
                            await self.engine.stop(self.name, grace_s=self.config.grace_s)
                    await self.engine.remove(self.name)

    # -- made and started ----------------------------------------------------------------------------------------------

    async def _is_made(self) -> bool:
        """Make the container; False if an earlier attempt has, and it was started."""
        if await self._create():
            return True
        state = await self.engine.state(self.name)
        if state is not None and state.labels.get(KEY) != self.delivery.idempotency_key:
            reason = f"the name {self.name} is that of a container that is not ours; remove it: docker rm {self.name}"
            raise Trouble(NoAnswer(reason))
        if state is not None and state.status != "created":
            return False
        await self.engine.remove(self.name)
        if not await self._create():
            raise Trouble(NoAnswer(f"the name {self.name} stays taken"))
        return True

    async def _create(self) -> bool:
        container = self._container()
        try:
            return await self.engine.create(self.name, container)
        except Trouble as trouble:
            # 404 here means the image: the container is yet to be.
            is_missing = isinstance(trouble.reply, Answer) and trouble.reply.status == 404
            if not is_missing or self.config.pull == "never":
                raise
        await self.engine.pull(self.image)
        return await self.engine.create(self.name, container)

    async def _give(self, event: bytes) -> None:
        """Give it the event, start it, and wait for its end."""
        engine, name = self.engine, self.name
        if self.config.event == "file":
            await engine.put(name, self.config.event_file, event)
        if self.config.event != "stdin":
            await engine.start(name)
            await engine.wait(name)
            return
        # Attached before it is started: what it is given then is not lost.
        async with await engine.attach(name) as stream:
            await engine.start(name)
            trouble: Trouble | None = None
            # Beside the wait, because it need not read its input.
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_feed, stream, event)
                try:
                    await engine.wait(name)
                except Trouble as exc:  # kept from becoming a group
                    trouble = exc
                nursery.cancel_scope.cancel("the container has ended")
            if trouble is not None:
                raise trouble

    # -- what came of it -----------------------------------------------------------------------------------------------

    async def _told(self, state: State, *logs: bytes) -> Outcome:
        secrets = list(self.config.env.values())
        stdout, stderr = (Output(said[-KEEP_BYTES:], len(said) <= KEEP_BYTES).text(secrets) for said in logs)
        if self.config.emits:
            event = completion(
                actor=self.place.id,
                harness=self.config.harness,
                image=self.image,
                session_id=f"{self.delivery.idempotency_key}-{self.delivery.attempt}",
                started_at=state.started_at,
                ended_at=state.ended_at,
                status=state.exit_status,
                stdout=stdout,
                stderr=stderr,
            )
            try:
                await self.delivery.emit([event])
            except OrgLoopError as exc:
                return Failed(f"{self.image} has ended, and its end cannot be published: {exc}")
        return self._meant(state, stderr or stdout)

    def _meant(self, state: State, said: str) -> Outcome:
        status = state.exit_status
        if status == 0:
            return Delivered()
        line = " ".join(said.split()) or "it said nothing"
        how = "was killed for its memory" if state.out_of_memory else f"ended with exit {status}"
        last = line if len(line) <= MAX_EXCERPT_CHARS else f"…{line[-MAX_EXCERPT_CHARS:]}"
        reason = f"{self.image} {how}: {last}"
        if status != TEMPFAIL and not state.out_of_memory:
            if status in self.config.reject_on:
                return Rejected(reason)
            if status in self.config.skip_on:
                return Skipped(reason)
        return Failed(reason)

    # -- what is asked for ---------------------------------------------------------------------------------------------

    def _container(self) -> dict[str, Any]:
        """What the engine is to make; of the event there is nothing in it but its ids."""
        config = self.config
        variables = {**config.env, **identity_variables(self.delivery, self.place)}
        if config.event == "file":
            variables["ORGLOOP_EVENT_FILE"] = config.event_file
        takes_stdin = config.event == "stdin"
        container = {
            "Image": self.image,
            "Cmd": None if config.command is None else list(config.command),
            "Entrypoint": None if config.entrypoint is None else list(config.entrypoint),
            "Env": [f"{name}={value}" for name, value in variables.items()],
            "User": config.user,
            "WorkingDir": config.workdir,
            "Labels": self._labels(),
            "AttachStdin": takes_stdin,
            "OpenStdin": takes_stdin,
            "StdinOnce": takes_stdin,
            "Tty": False,
            "HostConfig": self._rights(),
        }
        return {name: value for name, value in container.items() if value is not None}

    def _rights(self) -> dict[str, Any]:
        config = self.config
        return {
            "NetworkMode": config.network,
            "Mounts": [self._mount(mount) for mount in config.mounts],
            "ReadonlyRootfs": config.read_only,
            "CapDrop": ["ALL"],
            "CapAdd": list(config.capabilities),
            "SecurityOpt": ["no-new-privileges"],
            "Memory": config.memory_bytes,
            "MemorySwap": config.memory_bytes,  # both together: no swap beyond the memory
            "NanoCpus": round(config.cpus * 1e9),
            "PidsLimit": config.pids,
            "RestartPolicy": {"Name": "no"},
            "LogConfig": _LOG,
        }

    def _labels(self) -> dict[str, str]:
        event = self.delivery.event
        told = {"module": self.place.module, "actor": self.place.id, "event": event.id, "trace": event.trace_id}
        return {f"{LABEL}{name}": value for name, value in told.items()} | {KEY: self.delivery.idempotency_key}

    def _mount(self, mount: Mount) -> dict[str, Any]:
        mounted = {"Type": mount.type, "Target": mount.target, "ReadOnly": mount.read_only}
        if mount.type == "bind":
            path = os.path.join(self.place.directory, os.path.expanduser(mount.source or ""))
            return {**mounted, "Source": os.path.normpath(path)}
        return mounted if mount.source is None else {**mounted, "Source": mount.source}


def name_of(key: str) -> str:
    """
    The name of the container of a delivery: the same for every attempt, and for no other delivery.

    >>> name_of("engineering/reviews-17-evt_1")
    'orgloop-ce05084829f4c7012e19dd10ed2134e5'
    """
    return f"orgloop-{hashlib.sha256(key.encode()).hexdigest()[:32]}"


async def _feed(stream: trio.SocketStream, event: bytes) -> None:
    # It may end, or close its input, without reading it.
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        await stream.send_all(event)
        await stream.send_eof()
