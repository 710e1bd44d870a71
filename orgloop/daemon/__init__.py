"""
The daemon as the operating system sees it: one owner of a home, its signs of life, its restarts, its end.

    command line ──▶ start_in_background ──▶ supervise ──▶ run_daemon ──▶ the runtime
                     a session of its own    restarts      lock, signals, heartbeat
                 ──▶ find_owner, stop_owner, read_token

Each of the three processes may be left out from the left. What is imported here is light: whoever looks at a daemon,
stops or supervises it needs none of what the runtime needs. :func:`orgloop.daemon.run.run_daemon` is for the runtime
itself, and is imported from there.
"""

from orgloop.daemon.background import NotStarted, Started, start_in_background
from orgloop.daemon.home import Home, home_of, prepare_home
from orgloop.daemon.owner import Owner, Stale, Unseen, find_owner
from orgloop.daemon.parent import supervise
from orgloop.daemon.restart import Policy
from orgloop.daemon.serving import Limits, Serve, Serving
from orgloop.daemon.stop import NotStopped, Stopped, stop_owner
from orgloop.daemon.token import ensure_token, read_token

__all__ = [
    "Home",
    "Limits",
    "NotStarted",
    "NotStopped",
    "Owner",
    "Policy",
    "Serve",
    "Serving",
    "Stale",
    "Started",
    "Stopped",
    "Unseen",
    "ensure_token",
    "find_owner",
    "home_of",
    "prepare_home",
    "read_token",
    "start_in_background",
    "stop_owner",
    "supervise",
]
