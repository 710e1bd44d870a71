"""
A command for each event: any program that reads JSON, or takes an argument, is an actor.

    actors:
      - id: reviewer
        connector: exec
        config:
          command: [./review.py, --pr, "{{ event.payload.pr_number }}"]
          emits: true

Law: a command is a list of arguments, and no shell sees it. What an event says comes on standard input, or in the place
of a ``{{ placeholder }}``, and there it stays inside one argument that no program takes for an option. Whatever ends a
delivery ends the command, with all that it has started.
"""

from __future__ import annotations

from functools import partial

from orgloop.sdk import Connector, Event, Offer
from orgloop_connectors.exec.actor import ExecActor, check_actor
from orgloop_connectors.exec.completion import completion
from orgloop_connectors.exec.config import ExecConfig


def samples() -> list[Event]:
    """What the actor emits when a command has done its work, and when one has not."""
    session = partial(
        completion,
        actor="reviewer",
        harness="other",
        cwd="/srv/engineering",
        session_id="engineering-reviews-17-evt_0a1b2c-1",
        started_at_s=1_700_000_000.0,
        ended_at_s=1_700_000_012.5,
    )
    return [
        session(status=0, stdout="two remarks left", stderr=""),
        session(status=143, stdout="", stderr="Terminated"),
    ]


CONNECTOR = Connector(
    id="exec",
    summary="Runs a command for each event, and reports its end.",
    actor=Offer(config=ExecConfig, make=ExecActor, check=check_actor),
    samples=samples,
)
