"""What is sent, and to which session: by the route, the actor, and what an event says of itself. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

from orgloop.sdk import Delivery, Event
from orgloop_connectors.openclaw.config import OpenClawConfig
from orgloop_connectors.openclaw.message import message_of

MAX_KEY_CHARS = 512
"""How long a session key may be."""

# What the original's documentation calls the heartbeat after this one.
_WAKE_MODES = {"next": "next-heartbeat", "queue": "next-heartbeat"}


def body_of(config: OpenClawConfig, delivery: Delivery) -> dict[str, Any]:
    """
    The body for the session of the route; ValueError if ``then.config`` has what cannot be said.

    What is not set, or empty, is left out, but for the fields that the original always sends.
    """
    route, event = delivery.config, delivery.event
    prompt = delivery.prompt.text if delivery.prompt else None
    body = {
        "message": message_of(event, prompt, max_payload_bytes=config.max_payload_bytes),
        "sessionKey": _text(route, "session_key") or f"orgloop:{event.source}:{event.type}",
        "agentId": config.agent_id,
        "sessionMode": _text(route, "session_mode") or config.session_mode,
        "wakeMode": _wake_mode(route),
        "deliver": _flag(route, "deliver"),
        "channel": _text(route, "channel") or config.default_channel,
        "to": _text(route, "to") or config.default_to,
        "lane": _text(route, "lane") or config.lane,
        "threadId": _text(route, "thread_id"),
        "model": _text(route, "model"),
        "thinking": _text(route, "thinking"),
        "timeoutSeconds": _seconds(route, "timeout_seconds"),
    }
    return {name: value for name, value in body.items() if value is not None}


def _text(route: Mapping[str, Any], key: str) -> str | None:
    """A text; numbers and flags are written as one, because a file may have ``thread_id: 17``."""
    value = route.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, dict | list):
        raise ValueError(f"then.config.{key}: must be a text")
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) > MAX_KEY_CHARS:
        raise ValueError(f"then.config.{key}: has {len(text)} characters; at most {MAX_KEY_CHARS} are allowed")
    return text


def _wake_mode(route: Mapping[str, Any]) -> str:
    mode = _text(route, "wake_mode") or "now"
    return _WAKE_MODES.get(mode, mode)


def _flag(route: Mapping[str, Any], key: str) -> bool:
    value = route.get(key)
    # What a placeholder made is a text, and to OpenClaw every text is true.
    flags = {None: False, "": False, "true": True, "false": False, True: True, False: False}
    if not isinstance(value, str | bool | None) or value not in flags:
        raise ValueError(f"then.config.{key}: must be true or false, not {str(value)[:60]!r}")
    return flags[value]


def _seconds(route: Mapping[str, Any], key: str) -> int | None:
    value = route.get(key)
    if value in (None, "", 0):
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 10**9:
        raise ValueError(f"then.config.{key}: must be a number of seconds, not {str(value)[:60]!r}")
    return int(value) or 1


# -- whom an event names -----------------------------------------------------------------------------------------------


@attrs.frozen
class Callback:
    """The session that waits for an event, and the agent that it is of; by what the event says of itself."""

    session_key: str | None = None
    agent_id: str | None = None


def callback_of(event: Event) -> Callback:
    """
    What the metadata of a session says: in ``payload.meta``, else in ``payload.session.meta``.

    >>> event = Event("a", "actor.stopped", {"platform": "a"}, {"meta": {"openclaw_callback_session_key": "main"}})
    >>> callback_of(event)
    Callback(session_key='main', agent_id=None)
    """
    payload = event.payload if isinstance(event.payload, Mapping) else {}
    session = payload.get("session")
    places = [payload.get("meta"), session.get("meta") if isinstance(session, Mapping) else None]
    known = [place for place in places if isinstance(place, Mapping)]

    def found(key: str) -> str | None:
        return next((place[key] for place in known if _names(place.get(key))), None)

    return Callback(found("openclaw_callback_session_key"), found("openclaw_callback_agent_id"))


def _names(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_KEY_CHARS and value.isprintable() and not value.isspace()
