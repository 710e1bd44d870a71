"""The process of a daemon: see :mod:`orgloop.daemon.launch`, which writes its command line."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orgloop.daemon.home import home_of
from orgloop.daemon.launch import launch_of

if TYPE_CHECKING:
    from orgloop.daemon.serving import Serving
    from orgloop.runtime.runtime import Runtime


def main(arguments: Sequence[str]) -> int:
    """Be a runtime, or the process that keeps one running; the exit code."""
    verb, *rest = arguments or [""]
    launch = launch_of(rest)
    home = home_of(os.environ, group=launch.group)
    if verb == "supervise":
        from orgloop.daemon.parent import supervise

        return supervise(launch.command("run"), home)
    if verb == "run":
        from orgloop.daemon.hosting import serve_launch
        from orgloop.daemon.run import run_daemon

        return run_daemon(serve_launch(launch, when_ready=_say), home)
    print("usage: python -m orgloop.daemon run|supervise …", file=sys.stderr)  # noqa: T201 - to whoever wrote it
    return 2


def _say(runtime: Runtime, serving: Serving) -> None:
    """One line for whoever reads the terminal or the log."""
    names = ", ".join(module.name for module in runtime.modules()) or "none"
    with contextlib.suppress(OSError):
        where = "" if serving.port is None else f", port {serving.port}"
        print(f"OrgLoop is running. PID: {os.getpid()}{where}, modules: {names}", flush=True)  # noqa: T201 - as above


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
