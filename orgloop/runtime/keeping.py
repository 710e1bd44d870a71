"""
What stands on the way of a route between its transforms and its actor, if its configuration asks for it.

    transforms ──▶ held for a person? ──▶ kept for a session? ──▶ on record ──▶ actor
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import attrs

from orgloop.config.audit import AuditConfig
from orgloop.config.module import RouteConfig
from orgloop.delivery.kept import Keeper
from orgloop.errors import ConfigError
from orgloop.event import Event
from orgloop.routing import compile_config, render_config
from orgloop.runtime.auditor import Auditor
from orgloop.runtime.holds import Holder
from orgloop.runtime.inbox import InboxConfig, Slot, inbox_of, is_notification
from orgloop.runtime.services import Services
from orgloop.sdk import Prompt

NO_AUDIT = AuditConfig(record=False)


@attrs.frozen(kw_only=True)
class Keeping:
    """What a lane needs for it; most routes need nothing but ``config``."""

    config: Callable[[Event], Mapping[str, Any]]
    """``then.config`` for an event."""
    keepers: tuple[Keeper, ...]
    auditor: Auditor | None
    is_own: Callable[[Event], bool] | None


def keeping_of(
    route: RouteConfig, audit: AuditConfig, prompt: Prompt | None, services: Services, *, module: str
) -> Keeping:
    """What a route asks for; ValueError or :class:`ConfigError` for what cannot be."""
    render: Callable[[Event], Mapping[str, Any]] = partial(render_config, compile_config(route.then.config))
    keepers = list[Keeper]()
    auditor = _auditor(route, audit, prompt, services, module) if audit.record else None
    if audit.hold_on is not None:
        on_held = None if auditor is None else auditor.held
        keepers.append(Holder(services.holds, audit, is_notification, on_held))
    inbox = _inbox(route)
    if inbox is not None:
        slot = Slot(services.inbox, inbox, render)
        keepers.append(slot)
        render = partial(slot.config, module, route.then.actor)
    is_own = is_notification if keepers else None
    return Keeping(config=render, keepers=tuple(keepers), auditor=auditor, is_own=is_own)


def _inbox(route: RouteConfig) -> InboxConfig | None:
    try:
        return inbox_of(route.then.config)
    except ConfigError as exc:
        faults = [attrs.evolve(fault, path=("then", "config", *fault.path)) for fault in exc.faults]
        raise ConfigError(str(exc), faults) from exc


def _auditor(route: RouteConfig, audit: AuditConfig, prompt: Prompt | None, services: Services, module: str) -> Auditor:
    def hide(text: str) -> str:
        return services.masker.text(text)  # that of the moment: more becomes secret with every module

    return Auditor(
        module=module,
        route=route.name,
        actor=route.then.actor,
        config=audit,
        prompt=prompt,
        trail=services.audit,
        tell=services.notices.tell,
        now_s=services.now_s,
        hide=hide,
    )
