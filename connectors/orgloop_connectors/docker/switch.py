"""
Switching what is there on and off, as the original does: a container by the engine, a cluster by ``kind``.

    container.start    container.stop      container_name
    cluster.start      cluster.shutdown    cluster_name, config_path

Law: what is switched is said by the route or the actor; the original asks the event, too, and so lets whoever can post
one stop any container. What is already as asked is done.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs

from orgloop.sdk import Delivered, Failed, Outcome, Place, Rejected
from orgloop_connectors._command import environment, run
from orgloop_connectors.docker.config import KEEP_BYTES, DockerConfig
from orgloop_connectors.docker.engine import Engine

MAX_EXCERPT_CHARS = 300
"""How much of what ``kind`` said is told in a reason."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


class Unclear(ValueError):
    """Nobody can tell what is to be switched."""


@attrs.frozen
class Switch:
    """What a route asks for, beside what the actor says."""

    config: DockerConfig
    place: Place
    route: Mapping[str, Any]
    """Its ``then.config``."""
    engine: Engine

    async def turn(self) -> Outcome:
        """Do it; :class:`orgloop_connectors.docker.engine.Trouble` if the engine does not."""
        actions: dict[str, Callable[[], Awaitable[Outcome]]] = {
            "container.start": self._start_container,
            "container.stop": self._stop_container,
            "cluster.start": self._start_cluster,
            "cluster.shutdown": self._shut_cluster_down,
        }
        asked = str(self._said("action") or "")[:60]
        if asked not in actions:
            return Rejected(f'Invalid or missing action: "{asked}". Must be one of: {", ".join(map(str, actions))}')
        try:
            return await actions[asked]()
        except Unclear as exc:
            return Rejected(str(exc))

    async def _start_container(self) -> Outcome:
        await self.engine.start(self._container("container.start"))
        return Delivered()

    async def _stop_container(self) -> Outcome:
        await self.engine.stop(self._container("container.stop"), grace_s=self.config.grace_s)
        return Delivered()

    async def _start_cluster(self) -> Outcome:
        name = self._cluster()
        known, said = await self._kind("get", "clusters")
        if known and name in said.split():
            return Delivered()
        path = self._said("config_path")
        more = ["--config", os.path.join(self.place.directory, path)] if path else []
        return self._outcome(*await self._kind("create", "cluster", "--name", name, *more))

    async def _shut_cluster_down(self) -> Outcome:
        return self._outcome(*await self._kind("delete", "cluster", "--name", self._cluster()))

    def _container(self, action: str) -> str:
        if not (name := self._said("container_name")):
            raise Unclear(f"{action} requires a container_name")
        return _name(name, "container_name")

    def _cluster(self) -> str:
        return _name(self._said("cluster_name") or "kind", "cluster_name")

    def _said(self, key: str) -> str | None:
        value = self.route.get(key)
        if value is None or value == "":
            value = getattr(self.config, key)
        if value is not None and not isinstance(value, str):
            raise Unclear(f"then.config.{key}: must be a text")
        return value or None

    async def _kind(self, *words: str) -> tuple[bool, str]:
        """Whether ``kind`` has done it, and what it said."""
        try:
            ended = await run(
                ["kind", *words],
                env=environment(self.config.env),
                cwd=str(self.place.directory),
                keep_bytes=KEEP_BYTES,
                grace_s=self.config.grace_s,
            )
        except OSError as exc:
            return False, f"it cannot be started ({exc.strerror}); install it: https://kind.sigs.k8s.io"
        secrets = list(self.config.env.values())
        if ended.status == 0:
            return True, ended.stdout.text(secrets)
        return False, f"it ended with exit {ended.status}: {ended.stderr.text(secrets) or ended.stdout.text(secrets)}"

    @staticmethod
    def _outcome(is_done: bool, said: str) -> Outcome:
        line = " ".join(said.split())
        return Delivered() if is_done else Failed(f"kind: {line[:MAX_EXCERPT_CHARS]}")


def _name(text: str, key: str) -> str:
    if not _NAME.fullmatch(text):
        raise Unclear(f"{key}: {text[:60]!r} is no name of one")
    return text
