"""What the actor can be told, and what can be wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs

from orgloop_connectors._template import has_placeholder

SOCKET = "/var/run/docker.sock"

MAX_ITEMS = 256
"""How many arguments, mounts or variables there may be."""

TEMPFAIL = 75
"""EX_TEMPFAIL of sysexits.h: try again later."""

SKIPS = 78
"""What a script transform drops an event with."""

KEEP_BYTES = 64 * 1024

ACTIONS = ("container.start", "container.stop", "cluster.start", "cluster.shutdown")

_SWITCHED = ("action", "container_name", "cluster_name", "config_path")
_OF_BOTH = ("env", "grace_s", "socket", "timeout_s")
_IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._/:-]{0,254}(?:@sha256:[0-9a-f]{64})?")
_CAPABILITY = re.compile(r"[A-Z_]{1,40}")
_SOCKETS = ("docker.sock", "podman.sock", "containerd.sock")


@attrs.frozen(kw_only=True)
class Mount:
    """Something of the machine that a container sees."""

    target: str
    """Where it is in there."""
    source: str | None = None
    """A path, from the module's directory; the name of a volume; nothing for ``tmpfs``."""
    type: Literal["bind", "volume", "tmpfs"] = "bind"
    read_only: bool = True


@attrs.frozen(kw_only=True)
class DockerConfig:
    """
    Which container is run, with what rights, and what its end means; or, without an image, what is switched.

    It has no network, no capability, and no variable of the daemon, unless it is given some.
    """

    image: str | None = None
    command: Sequence[str] | None = None
    """What it runs, as a list; without it, what the image says."""
    entrypoint: Sequence[str] | None = None
    env: Mapping[str, str] = attrs.field(factory=dict, metadata={"secret": True})
    event: Literal["stdin", "file", "none"] = "stdin"
    """Where it finds the event, as one line of JSON."""
    event_file: str = "/orgloop/event.json"
    """Which file that is, for ``event: file``; nobody in there may write to it but root."""
    mounts: Sequence[Mount] = ()
    network: str = "none"
    user: str | None = None
    workdir: str | None = None
    read_only: bool = False
    """Whether it may write nowhere but into its mounts."""
    capabilities: Sequence[str] = ()
    """Those of root that it keeps."""
    memory_bytes: int = attrs.field(default=512 * 1024 * 1024, metadata={"yaml": "memory", "unit": "size"})
    cpus: float = 1.0
    pids: int = 256
    """How many processes and threads it may have."""
    timeout_s: float | None = attrs.field(default=None, metadata={"yaml": "timeout", "unit": "duration"})
    """How long it may take, if the ``timeout`` of the route does not come first."""
    grace_s: float = attrs.field(default=5.0, metadata={"yaml": "grace", "unit": "duration"})
    """How long it may take to end after SIGTERM, before SIGKILL."""
    pull: Literal["missing", "never"] = "missing"
    """Whether an image that is not there is fetched."""
    reject_on: Sequence[int] = ()
    """Exit statuses that another attempt would not change."""
    skip_on: Sequence[int] = (SKIPS,)
    """Exit statuses that mean that this event is none of its business."""
    emits: bool = False
    """Whether its end becomes an event, ``actor.stopped``."""
    harness: str = "other"
    """What runs in there, for that event."""
    socket: str = SOCKET
    """That of the engine."""
    action: str | None = None
    """Without an image: what is done, unless the route says; one of ``ACTIONS``."""
    container_name: str | None = None
    """Which container is started or stopped."""
    cluster_name: str | None = None
    """Which cluster of ``kind``; the one called ``kind``, unless said."""
    config_path: str | None = None
    """What a cluster is made by, from the module's directory."""


def faults_in(config: DockerConfig) -> Iterator[str]:
    """What is wrong with a config, a sentence for each fault."""
    for where, text in _texts(attrs.asdict(config), ""):
        if has_placeholder(text):
            yield f"{where}: has a placeholder; what runs is never taken from an event"
    if config.image is None:
        yield from _switch_faults(config)
    elif not _IMAGE.fullmatch(config.image):
        yield f"image: {config.image[:80]!r} is no name of an image; write it as in ghcr.io/acme/reviewer:1.4"
    if config.image is not None:
        yield from (
            f"{key}: has no meaning beside image; leave one of them out" for key in _SWITCHED if getattr(config, key)
        )
    for key in ("command", "entrypoint", "env", "mounts", "capabilities"):
        if len(getattr(config, key) or ()) > MAX_ITEMS:
            yield f"{key}: at most {MAX_ITEMS} are allowed"
    if not Path(config.socket).is_absolute():
        yield "socket: must be a path from /, without unix:// before it"
    yield from _environment_faults(config)
    yield from _mount_faults(config)
    yield from _right_faults(config)
    yield from _end_faults(config)


def _switch_faults(config: DockerConfig) -> Iterator[str]:
    nothing = DockerConfig()
    for field in attrs.fields(DockerConfig):
        is_for_both = field.name in (*_SWITCHED, *_OF_BOTH)
        if not is_for_both and getattr(config, field.name) != getattr(nothing, field.name):
            yield f"image: is missing; {field.metadata.get('yaml', field.name)} is for a container that is run"
            return
    if config.action is not None and config.action not in ACTIONS:
        yield f"action: {config.action[:60]!r} is none of: {', '.join(ACTIONS)}"


def _environment_faults(config: DockerConfig) -> Iterator[str]:
    for name in config.env:
        if not name or "=" in name:
            yield f"env.{name}: cannot be set; write a name without '='"
        elif name.startswith("ORGLOOP_"):
            yield f"env.{name}: names that begin with ORGLOOP_ are set for each event"
    if config.event == "file":
        if not config.event_file.startswith("/") or config.event_file.endswith("/") or ".." in config.event_file:
            yield "event_file: must be the path of a file from /, as in /orgloop/event.json"
        if config.read_only:
            yield "event: file cannot be put where nothing may be written (read_only: true); use stdin"


def _mount_faults(config: DockerConfig) -> Iterator[str]:
    for number, mount in enumerate(config.mounts):
        at = f"mounts.{number}"
        if not mount.target.startswith("/"):
            yield f"{at}.target: must be a path from /"
        if (mount.type == "tmpfs") != (mount.source is None):
            yield f"{at}.source: is needed for bind and volume, and has no meaning for tmpfs"
        elif mount.type == "bind" and Path(mount.source or "").name in _SOCKETS:
            yield f"{at}.source: the socket of an engine is the whole machine; a container must not have it"


def _right_faults(config: DockerConfig) -> Iterator[str]:
    for capability in config.capabilities:
        if not _CAPABILITY.fullmatch(capability):
            yield f"capabilities: {capability[:40]!r} is none; write it as in NET_BIND_SERVICE"
    if not config.network:
        yield "network: is empty; write none, bridge, or the name of a network"
    if config.memory_bytes < 6 * 1024 * 1024:
        yield "memory: must be at least 6MB; Docker takes no less"
    if not 0.01 <= config.cpus <= 1024:
        yield "cpus: must be at least 0.01, and at most 1024"
    if not 1 <= config.pids <= 1_000_000:
        yield "pids: must be at least 1, and at most 1000000"
    if config.timeout_s == 0:
        yield "timeout: must be more than nothing"
    if not 0 <= config.grace_s <= 300:
        yield "grace: must be at most 5m"


def _end_faults(config: DockerConfig) -> Iterator[str]:
    for key, statuses in (("reject_on", config.reject_on), ("skip_on", config.skip_on)):
        for status in statuses:
            if not 0 < status < 256:
                yield f"{key}: {status} is no exit status of a failure; they go from 1 to 255"
            elif status == TEMPFAIL:
                yield f"{key}: {TEMPFAIL} always means try again later"
    if both := sorted(set(config.reject_on) & set(config.skip_on)):
        yield f"reject_on: {', '.join(map(str, both))} stands in skip_on too; keep it in one of them"
    if not config.harness:
        yield "harness: is empty; leave the key out, or name what runs"


def _texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """Every text in a config, with its place."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, Mapping):
        for key, member in value.items():
            yield from _texts(member, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list | tuple):
        for number, member in enumerate(value):
            yield from _texts(member, f"{where}.{number}")
