"""What systemd hears."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from orgloop.daemon.sd_notify import Notifier, notifier_of, take_notifier


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_systemd_hears_one_datagram_for_each_call(tmp_path: Path, kind: str) -> None:
    """Both kinds of address that systemd uses."""
    named = str(tmp_path / "notify") if kind == "path" else f"@orgloop-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + named[1:] if named.startswith("@") else named)

        notifier_of({"NOTIFY_SOCKET": named}).tell("READY=1", "STATUS=port 4800")

        assert systemd.recv(999) == b"READY=1\nSTATUS=port 4800"


def test_a_reload_says_since_when(tmp_path: Path) -> None:
    """Type=notify-reload compares it with the moment at which it sent the signal."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))

        Notifier(str(tmp_path / "notify")).reloading()

        first, _, second = systemd.recv(999).decode().partition("\nMONOTONIC_USEC=")
        assert (first, second.isdigit()) == ("RELOADING=1", True)


@pytest.mark.parametrize("address", [None, "/nowhere/notify"])
def test_a_manager_that_does_not_listen_holds_nobody_up(address: str | None) -> None:
    """No systemd, or one that is gone."""
    Notifier(address).tell("READY=1")


def test_a_watchdog_of_another_process_is_not_ours() -> None:
    """systemd names the process that it watches."""
    environ = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}

    assert notifier_of(environ, pid=7).watchdog_s == 30.0
    assert notifier_of(environ, pid=8).watchdog_s is None


@pytest.mark.parametrize("every", ["", "0", "-1", "soon"])
def test_a_watchdog_without_a_time_is_none(every: str) -> None:
    """What cannot be a time is not guessed."""
    assert notifier_of({"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": every}).watchdog_s is None


def test_what_we_start_cannot_speak_for_us() -> None:
    """The names are gone from the environment that is inherited."""
    environ = {"NOTIFY_SOCKET": "relative", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "PATH": "/bin"}

    assert take_notifier(environ) == Notifier()
    assert environ == {"PATH": "/bin"}
