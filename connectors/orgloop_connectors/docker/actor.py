"""A delivery is a container that is run, or one that is switched; and whether either would work."""

from __future__ import annotations

import math
from functools import partial

import attrs
import trio

from orgloop.sdk import Checked, Delivery, EventError, Failed, Outcome, Place, Rejected
from orgloop_connectors._http import Answer, NoAnswer, Online, open_client, outcome_of
from orgloop_connectors.docker.config import DockerConfig, faults_in
from orgloop_connectors.docker.engine import LIMITS, Engine, Trouble
from orgloop_connectors.docker.run import Run
from orgloop_connectors.docker.switch import Switch


class DockerActor(Online):
    """
    Runs one container for each delivery; or, without an image, switches one.

    =============================  ==============================================
    exit 0                         delivered
    exit 75 (EX_TEMPFAIL)          failed: tried again, as the route says
    a status of ``reject_on``      rejected: to the dead letters
    a status of ``skip_on`` (78)   skipped
    any other, killed, no start    failed
    the engine refuses (4xx)       rejected
    =============================  ==============================================
    """

    def __init__(self, config: DockerConfig, place: Place) -> None:
        """ValueError, a line for each fault."""
        if faults := list(faults_in(config)):
            raise ValueError("\n".join(faults))
        self._config, self._place = config, place
        super().__init__(partial(open_client, limits=LIMITS, secrets=list(config.env.values()), uds=config.socket))

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Run the container to its end; whoever cancels the delivery ends it."""
        config, engine = self._config, Engine(self.client, self._config.socket)
        try:
            with trio.move_on_after(math.inf if config.timeout_s is None else config.timeout_s):
                if config.image is None:
                    return await Switch(config, self._place, delivery.config, engine).turn()
                return await Run(config.image, config, self._place, engine, delivery).outcome()
            return Failed(f"{config.image or 'it'} was stopped: it took longer than {config.timeout_s:g} s")
        except EventError as exc:
            return Rejected(str(exc))
        except Trouble as trouble:
            return outcome_of(trouble.reply, who="Docker")


async def check_actor(config: DockerConfig, _: Place) -> list[Checked]:
    """Whether the engine answers, and has the image; nothing is run, and nothing fetched."""
    async with open_client(limits=attrs.evolve(LIMITS, read_s=5.0, total_s=5.0), uds=config.socket) as client:
        engine = Engine(client, config.socket)
        ping = await engine.ping()
        if isinstance(ping, NoAnswer) or not ping.ok:
            said = ping.reason if isinstance(ping, NoAnswer) else f"it answers {ping.status}"
            advice = "is it running, and may this user open the socket (group docker)?"
            return [Checked(name="docker", ok=False, detail=f"{config.socket}: {said}; {advice}")]
        there = Checked(name="docker", ok=True, detail=f"{config.socket} answers")
        return [there] if config.image is None else [there, await _check_image(engine, config.image, config.pull)]


async def _check_image(engine: Engine, image: str, pull: str) -> Checked:
    reply = await engine.has_image(image)
    if isinstance(reply, Answer) and reply.ok:
        return Checked(name="image", ok=True, detail=f"{image} is there")
    if isinstance(reply, Answer) and reply.status == 404 and pull == "missing":
        return Checked(name="image", ok=True, detail=f"{image} is fetched with the first event")
    return Checked(name="image", ok=False, detail=f"{image} is not there: docker pull {image}")
