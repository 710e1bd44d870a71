"""
A container for each event: whatever an image holds, shut in, does the work.

    actors:
      - id: reviewer
        connector: docker
        config:
          image: ghcr.io/acme/reviewer:1.4
          command: [review, --strict]
          network: bridge

Law: which image runs, with what rights and where it may reach, is the operator's word alone; what an event says comes
on standard input or in a file. A delivery has one container, found again by its name: one that a crash has left is
waited for, and never started twice. Whatever ends a delivery ends its container.
"""

from __future__ import annotations

from functools import partial

from orgloop.sdk import Connector, EnvVar, Event, Offer
from orgloop_connectors.docker.actor import DockerActor, check_actor
from orgloop_connectors.docker.completion import completion
from orgloop_connectors.docker.config import DockerConfig


def samples() -> list[Event]:
    """What the actor emits when a container has done its work, and when one was killed for its memory."""
    ended = partial(
        completion,
        actor="reviewer",
        harness="other",
        image="ghcr.io/acme/reviewer:1.4",
        session_id="engineering/reviews-17-evt_0a1b2c-1",
        started_at="2023-11-14T22:13:20.000Z",
        ended_at="2023-11-14T22:13:32.500Z",
    )
    return [ended(status=0, stdout="two remarks left", stderr=""), ended(status=137, stdout="", stderr="Killed")]


CONNECTOR = Connector(
    id="docker",
    summary="Runs a container for each event, and reports its end.",
    actor=Offer(config=DockerConfig, make=DockerActor, check=check_actor),
    env=(
        EnvVar(
            name="DOCKER_SOCKET",
            description="The path of the engine's socket, if it is not /var/run/docker.sock",
            command="docker context inspect --format '{{.Endpoints.docker.Host}}'",
            required=False,
        ),
    ),
    samples=samples,
)
