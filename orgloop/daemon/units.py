"""
The texts that a service manager reads: pure functions of one value.

Every path in them is absolute, because a service manager has neither our directory nor our PATH, and quoted in the way
of that language, because a directory may be called anything.
"""

from __future__ import annotations

import json
import os
import plistlib
from collections.abc import Mapping
from pathlib import Path

import attrs

from orgloop.daemon.restart import Policy

LABEL = "com.orgloop.daemon"

START_S = 180
"""How long a service manager waits for readiness; to read a log of 1 GiB takes up to 60 s."""

STOP_S = 20
"""How long it waits for the end; the daemon needs 12 s at most."""

WATCHDOG_S = 30
"""For how long it may hear nothing."""

CONTAINER_HOME = "/var/lib/orgloop"


@attrs.frozen
class ServiceSpec:
    """What is to be run, by whom, and with what around it; all paths absolute."""

    python: Path
    """The interpreter in whose environment orgloop is installed."""
    home: Path
    config: Path
    """The project's ``orgloop.yaml``; its directory is the one that relative paths in it mean."""
    version: str
    search_path: str = os.defpath
    """PATH, so that actors find the commands that they run."""
    user: str | None = None
    """As whom a system unit runs."""
    port: int = 4800

    def argv(self, *options: str) -> list[str]:
        """The command line."""
        return [str(self.python), "-m", "orgloop", "start", *options, "--config", str(self.config)]


# -- systemd -----------------------------------------------------------------------------------------------------------


def systemd_unit(spec: ServiceSpec, *, is_system: bool) -> str:
    """The unit; that of the system is shut in more tightly, which the manager of a user is not able to do."""
    policy, project = Policy(), spec.config.parent
    network = "After=network-online.target\nWants=network-online.target\n" if is_system else ""
    return f"""\
[Unit]
Description=OrgLoop, event router of this organisation
{network}StartLimitIntervalSec={policy.period_s:.0f}
StartLimitBurst={policy.restarts}

[Service]
Type=notify
NotifyAccess=main
ExecStart={" ".join(_word(word) for word in spec.argv())}
ExecReload=/bin/kill -HUP $MAINPID
WorkingDirectory={_percent(str(project))}
Environment={_quoted(f"ORGLOOP_HOME={spec.home}")} ORGLOOP_PORT={spec.port} {_quoted(f"PATH={spec.search_path}")}
Restart=on-failure
RestartSec=1
TimeoutStartSec={START_S}
TimeoutStopSec={STOP_S}
# Only the daemon is asked to end, and asks its actors; what is left after that is killed.
KillMode=mixed
# Silent for so long, it first writes down where it hangs (SIGUSR1), and is then killed and started again.
WatchdogSec={WATCHDOG_S}
WatchdogSignal=SIGUSR1
TimeoutAbortSec=2
UMask=0077
NoNewPrivileges=yes
LimitNOFILE=65536
MemoryMax=75%
{_walls(spec) if is_system else ""}
[Install]
WantedBy={"multi-user.target" if is_system else "default.target"}
"""


def _walls(spec: ServiceSpec) -> str:
    writable = " ".join(_quoted(str(path)) for path in (spec.home, spec.config.parent))
    return f"""\
User={spec.user or "orgloop"}
PrivateTmp=yes
# All but these two is read-only for it and its actors; add here where agents work.
ProtectSystem=strict
ReadWritePaths={writable}
"""


def _word(word: str) -> str:
    """One word of a command line, in which ``$`` and ``%`` mean themselves."""
    return _quoted(word).replace("$", "$$")


def _quoted(text: str) -> str:
    plain = _percent(text)
    if plain and not set(plain) & set(" \t\"'\\;"):
        return plain
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _percent(text: str) -> str:
    return text.replace("%", "%%")


# -- launchd -----------------------------------------------------------------------------------------------------------


def launchd_plist(spec: ServiceSpec) -> str:
    """The property list of an agent, which begins when its user logs in."""
    members: Mapping[str, object] = {
        "Label": LABEL,
        "ProgramArguments": spec.argv("--supervised"),
        "WorkingDirectory": str(spec.config.parent),
        "EnvironmentVariables": {
            "ORGLOOP_HOME": str(spec.home),
            "ORGLOOP_PORT": str(spec.port),
            "PATH": spec.search_path,
        },
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 10,
        "ExitTimeOut": STOP_S,
        "ProcessType": "Background",
        "Umask": 0o077,
        "StandardOutPath": str(spec.home / "logs/daemon.stdout.log"),
        "StandardErrorPath": str(spec.home / "logs/daemon.stderr.log"),
    }
    return plistlib.dumps(members, sort_keys=False).decode()


# -- docker ------------------------------------------------------------------------------------------------------------

DOCKERIGNORE = """\
# Secrets are given to the container when it runs, not to everybody who has the image.
.env
**/.env
.git
**/.orgloop
**/__pycache__
"""


def dockerfile(spec: ServiceSpec) -> str:
    """An image with the project in it; it runs as a user of its own."""
    return f"""\
FROM python:3.12-slim
RUN pip install --no-cache-dir orgloop=={spec.version}
RUN useradd --create-home --uid 10001 orgloop && install -d -m 0700 -o orgloop -g orgloop {CONTAINER_HOME}
ENV ORGLOOP_HOME={CONTAINER_HOME} PYTHONUNBUFFERED=1
# All addresses of the container; compose.yaml opens the port to this host only.
ENV ORGLOOP_HOST=0.0.0.0 ORGLOOP_PUBLIC=1 ORGLOOP_PORT={spec.port}
COPY --chown=orgloop:orgloop . /project
WORKDIR /project
USER orgloop
VOLUME {CONTAINER_HOME}
EXPOSE {spec.port}
STOPSIGNAL SIGTERM
# Written every 30 s by a runtime that gets on.
HEALTHCHECK --interval=30s --timeout=5s --start-period={START_S}s \\
    CMD test -n "$(find "$ORGLOOP_HOME/heartbeat" -mmin -2)"
ENTRYPOINT ["python", "-m", "orgloop"]
CMD ["start", "--supervised", "--config", {json.dumps(f"/project/{spec.config.name}")}]
"""


def compose_file(spec: ServiceSpec) -> str:
    """One container, open to this host only."""
    return f"""\
services:
  orgloop:
    build: .
    init: true
    restart: unless-stopped
    stop_grace_period: {STOP_S}s
    ports:
      - "127.0.0.1:{spec.port}:{spec.port}"
    env_file:
      - path: .env
        required: false
    volumes:
      - orgloop-home:{CONTAINER_HOME}
      # To change the project without a new image: mount it, then `orgloop module reload`.
      # - .:/project
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]

volumes:
  orgloop-home: {{}}
"""
