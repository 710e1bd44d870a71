"""
Notices: what the runtime says of itself, and the callbacks and loggers that hear it.

    tell ──┬──▶ callbacks                 at once, in the task that tells
           └──▶ a queue per logger ──▶    later, in a task and a thread of that logger

``_notice_queue`` is the queue, ``_logger_life`` the task.

Who hears a phase is found out once, and anew when a listener comes or goes: it is asked for each step of each event.

Telling never waits and never fails, whatever a listener does. A logger that cannot keep up loses its oldest notices;
they are counted, and told of when it has caught up. Notices are told in the thread that Trio runs in.

A logger's name is ``module/name``, or just ``name`` for one of the whole runtime. The first hears of its own module and
of what concerns no module, the second of everything; the original gave every module's notices to every logger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import attrs
import trio

from orgloop.event import Event, timestamp_of
from orgloop.runtime._logger_life import DRAIN_S, LEAVE_S, serve, tell_of_losses
from orgloop.runtime._notice_queue import LoggerStatistics, Queue, words
from orgloop.sdk import DEBUG, ERROR, INFO, SEVERITY_OF, WARNING, Logger, Notice

LEVELS: Mapping[str, int] = MappingProxyType(
    {"debug": DEBUG, "info": INFO, "warn": WARNING, "warning": WARNING, "error": ERROR}
)
"""The levels as an operator writes them."""


@attrs.frozen(kw_only=True)
class NoticeStatistics:
    """Everything about notices at one moment."""

    told: int
    """Those that somebody listened to."""
    callbacks: int
    failed_callbacks: int
    """How often one raised."""
    loggers: Mapping[str, LoggerStatistics]


MAX_AUDIENCES = 4096
"""How many phases of modules it is remembered of who hears them."""

_OF_STRANGERS = frozenset({"error", "result", "metadata"})
"""Fields that hold what plug-ins, and systems outside, have said."""


@attrs.define(eq=False)
class _Subscription:
    callback: Callable[[Notice], object]
    phase: str
    """A phase, a family of phases (``deliver.``), or all (``*``)."""
    has_failed: bool = False

    def wants(self, phase: str) -> bool:
        return self.phase in ("*", phase) or (self.phase.endswith(".") and phase.startswith(self.phase))


@attrs.frozen(eq=False)
class _Audience:
    """Who hears a phase of a module."""

    queues: tuple[Queue, ...]
    subscriptions: tuple[_Subscription, ...]


class Notices:
    """Takes notices, and hands them to all who listen; ``now_s`` gives Unix seconds."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self.hide: Callable[[Any], Any] = lambda value: value
        """Takes what is secret out of texts and plain data."""
        self.silent = True
        """Whether nobody listens at all, so that there is no need to tell anything; to be read only."""
        self._told = 0
        self._failed_callbacks = 0
        self._calling_back = False
        self._subscriptions: tuple[_Subscription, ...] = ()
        self._queues: dict[str, Queue] = {}
        self._of_all: tuple[Queue, ...] = ()
        self._of_module: dict[str, tuple[Queue, ...]] = {}
        self._audiences: dict[tuple[str, str | None], _Audience] = {}

    def tell(self, phase: str, event: Event | None = None, **fields: Any) -> None:
        """
        Say that something has happened, to an event if one is given; ``fields`` are those of the notice.

        Its ids, source, type and module are those of the event where they are not among the fields.
        """
        if self.silent:
            return
        module = fields.get("module") if event is None or "module" in fields else event.module
        audience = self._audiences.get((phase, module)) or self._find_audience(phase, module)
        subscriptions = () if self._calling_back else audience.subscriptions
        if not audience.queues and not subscriptions:
            return
        notice = self._notice(phase, event, fields)
        self._told += 1
        for queue in audience.queues:
            queue.put(notice)
        if subscriptions:
            self._call_back(subscriptions, notice)

    def _find_audience(self, phase: str, module: str | None) -> _Audience:
        severity = SEVERITY_OF.get(phase, INFO)
        audience = _Audience(
            tuple(queue for queue in self._queues_for(module) if queue.least <= severity),
            tuple(each for each in self._subscriptions if each.wants(phase)),
        )
        if len(self._audiences) >= MAX_AUDIENCES:
            self._audiences.clear()
        self._audiences[phase, module] = audience
        return audience

    def _listeners_have_changed(self) -> None:
        self._audiences.clear()
        self.silent = not self._subscriptions and not self._queues

    def _queues_for(self, module: str | None) -> tuple[Queue, ...]:
        if module is None:
            return tuple(self._queues.values())
        own = self._of_module.get(module)
        return self._of_all if own is None else self._of_all + own

    def _notice(self, phase: str, event: Event | None, fields: dict[str, Any]) -> Notice:
        if not _OF_STRANGERS.isdisjoint(fields):
            self._clean(fields)
        timestamp = timestamp_of(self._now_s())
        if event is None:
            return Notice(timestamp=timestamp, phase=phase, **fields)
        about: dict[str, Any] = {
            "timestamp": timestamp,
            "phase": phase,
            "event_id": event.id,
            "trace_id": event.trace_id,
            "source": event.source,
            "event_type": event.type,
            "module": event.module,
        }
        about.update(fields)
        return Notice(**about)

    def _clean(self, fields: dict[str, Any]) -> None:
        if fields.get("metadata") is not None:
            fields["metadata"] = dict(fields["metadata"])  # read later, in threads, when the teller has gone on
        for field in _OF_STRANGERS & fields.keys():
            fields[field] = self.hide(fields[field])

    def statistics(self) -> NoticeStatistics:
        """A snapshot."""
        return NoticeStatistics(
            told=self._told,
            callbacks=len(self._subscriptions),
            failed_callbacks=self._failed_callbacks,
            loggers=MappingProxyType({name: queue.statistics() for name, queue in self._queues.items()}),
        )

    # -- callbacks -----------------------------------------------------------------------------------------------------

    def subscribe(self, callback: Callable[[Notice], object], phase: str = "*") -> Callable[[], None]:
        """
        Call back with every notice of a phase, of a family of phases (``deliver.``), or with all (``*``), in the task
        that tells it; gives what ends that.

        A callback must not block. What it raises is counted, and told of the first time; only Ctrl-C, which is not
        its own, passes through. What it tells itself goes to the loggers only.
        """
        subscription = _Subscription(callback, phase)
        self._subscriptions += (subscription,)
        self._listeners_have_changed()

        def unsubscribe() -> None:
            self._subscriptions = tuple(each for each in self._subscriptions if each is not subscription)
            self._listeners_have_changed()

        return unsubscribe

    def _call_back(self, subscriptions: tuple[_Subscription, ...], notice: Notice) -> None:
        failures: list[str] = []
        self._calling_back = True
        try:
            for subscription in subscriptions:
                try:
                    subscription.callback(notice)
                except KeyboardInterrupt:
                    raise
                # Even SystemExit: who listens must not be able to end who tells.
                except BaseException as exc:
                    self._failed_callbacks += 1
                    if not subscription.has_failed:
                        subscription.has_failed = True
                        failures.append(f"a callback for notices raised {words(exc)}; told of once")
        finally:
            self._calling_back = False
        for error in failures:
            self.tell("system.error", error=error)

    # -- loggers -------------------------------------------------------------------------------------------------------

    def attach(self, name: str, *, level: int = DEBUG) -> None:
        """
        Keep notices for a logger from now on, whether or not it is there yet, until it is detached.

        ``level`` is the least severity that it is to get. Raises :class:`ValueError` if the name is taken.
        """
        if name in self._queues:
            raise ValueError(f"a logger named {name!r} is attached already; detach it first")
        queue = self._queues[name] = Queue(name, level)
        if queue.module is None:
            self._of_all += (queue,)
        else:
            self._of_module[queue.module] = (*self._of_module.get(queue.module, ()), queue)
        self._listeners_have_changed()

    async def detach(self, name: str) -> None:
        """
        Keep no more notices for a logger; returns when it has taken what waited for it, and is closed.

        It has a few seconds for that; what it leaves is counted as dropped, and told of. Whoever serves it returns.
        Nothing happens if there is no logger of that name.
        """
        queue = self._queues.get(name)
        if queue is None:
            return
        self._forget(queue)
        try:
            if (service := queue.service) is not None:
                service.leave.set()
                with trio.move_on_after(DRAIN_S + LEAVE_S):
                    await service.left.wait()
        finally:
            self._close(queue)

    async def serve_logger(
        self,
        name: str,
        logger: Logger,
        *,
        level: int = DEBUG,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """
        Carry notices to a logger until cancelled, or until it is detached; for a child of a supervisor.

        Ready when the logger has been entered, if it is a context manager. At the end it has a few seconds for what
        still waits, and to be left. What it raises in between is counted and changes nothing; only entering may fail.
        A name that is attached keeps its notices from one life to the next, and the level it has; one that is not is
        attached for this life only. :class:`PluginError` if ``log`` or ``flush`` is async.
        """
        is_ours = name not in self._queues
        if is_ours:
            self.attach(name, level=level)
        queue = self._queues[name]
        try:
            await serve(queue, logger, tell=self.tell, task_status=task_status)
        finally:
            if is_ours and self._queues.get(name) is queue:
                self._forget(queue)
                self._close(queue)

    def _forget(self, queue: Queue) -> None:
        del self._queues[queue.name]
        if queue.module is None:
            self._of_all = _without(self._of_all, queue)
        elif rest := _without(self._of_module[queue.module], queue):
            self._of_module[queue.module] = rest
        else:
            del self._of_module[queue.module]
        self._listeners_have_changed()

    def _close(self, queue: Queue) -> None:
        queue.drop_rest()
        tell_of_losses(queue, self.tell)


def _without(queues: tuple[Queue, ...], queue: Queue) -> tuple[Queue, ...]:
    return tuple(each for each in queues if each is not queue)
