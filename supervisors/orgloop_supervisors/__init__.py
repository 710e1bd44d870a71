"""OTP supervision on Trio: let it crash, under a supervisor, with its causes, delays and limits, in virtual time."""

# The layers, top to bottom; each imports only from below:
#
#     _recipe        SupervisorSpec, open_supervisor: what a supervisor is to be, and how it is run
#     _supervisor    Supervisor: the handle of a running one                  _requests  what can be asked of it
#     _loop          the serial loop: what happens, one thing at a time
#     _inbox         what waits for the loop                                  _caller    who asks, and can it be served
#     _crew          the children, and how they are started and stopped
#     _child         one life of a child: task, capability, stop phases       _tree      the live tree as text
#     _policy        every decision, pure: budget, group, back-off, exit      _events    what happened, by one hook
#     _spec _checks  what a child is to be, and the sentences of a refusal    _timers    what is due, and when
#     _errors        what is raised on purpose

from orgloop_supervisors._child import ChildStatus
from orgloop_supervisors._errors import (
    ChildExited,
    RestartIntensityExceeded,
    StartError,
    StartTimeout,
    SupervisorError,
    WatchdogTimeout,
)
from orgloop_supervisors._events import Event, EventKind
from orgloop_supervisors._recipe import SupervisorSpec, open_supervisor
from orgloop_supervisors._spec import AutoShutdown, Backoff, ChildSpec, ChildState, Restart, Shutdown, Strategy
from orgloop_supervisors._supervisor import ChildInfo, Supervisor

__all__ = [
    "AutoShutdown",
    "Backoff",
    "ChildExited",
    "ChildInfo",
    "ChildSpec",
    "ChildState",
    "ChildStatus",
    "Event",
    "EventKind",
    "Restart",
    "RestartIntensityExceeded",
    "Shutdown",
    "StartError",
    "StartTimeout",
    "Strategy",
    "Supervisor",
    "SupervisorError",
    "SupervisorSpec",
    "WatchdogTimeout",
    "open_supervisor",
]
