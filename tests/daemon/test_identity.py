"""Which process is meant."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from orgloop.daemon.identity import Identity, Pinned, _from_ps, identity_of, is_alive, pin


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def known(process: subprocess.Popen[bytes]) -> Identity:
    found = identity_of(process.pid)
    assert found is not None
    return found


@pytest.mark.parametrize("pid", [0, -1, -2, 2**22 + 1])
def test_what_is_no_process_has_no_identity(pid: int) -> None:
    """A9: 0 and the negative ones would mean a group, or everybody."""
    assert identity_of(pid) is None


def test_a_dead_process_is_not_alive_before_it_is_buried(sleeper: subprocess.Popen[bytes]) -> None:
    """A zombie has a number and a beginning, and nothing else."""
    found = known(sleeper)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)

    assert not is_alive(found)


def test_a_command_that_looks_like_the_end_of_its_name_is_read_rightly(tmp_path: Path) -> None:
    """The second field of /proc/PID/stat may hold spaces and parentheses."""
    fields = " ".join(["S", *map(str, range(4, 50))])
    for name, text in {
        "7/stat": f"7 (a) R (b) {fields}",
        "self/stat": "",
        "sys/kernel/random/boot_id": "boot\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    assert identity_of(7, proc=tmp_path) == Identity(7, "boot/22")


def test_a_number_that_was_given_again_is_somebody_else(sleeper: subprocess.Popen[bytes]) -> None:
    """The same number with another beginning is not pinned, so it can get no signal."""
    with pin(attrs.evolve(known(sleeper), started="earlier")) as pinned:
        assert pinned is None
    assert sleeper.poll() is None


def test_a_pinned_process_gets_the_signal_and_its_end_is_noticed(sleeper: subprocess.Popen[bytes]) -> None:
    """The wait ends with the process, and not with a sleep."""
    with pin(known(sleeper)) as pinned:
        assert pinned is not None
        assert not pinned.wait(0.0)
        assert pinned.signal(signal.SIGTERM)
        assert pinned.wait(5.0)
        assert sleeper.wait() == -signal.SIGTERM
        assert not pinned.signal(signal.SIGTERM)


def test_without_pidfd_it_is_compared_right_before(sleeper: subprocess.Popen[bytes]) -> None:
    """What other kernels than Linux get."""
    pinned = Pinned(known(sleeper), None)

    assert not pinned.wait(0.0)
    assert pinned.signal(signal.SIGKILL)
    assert pinned.wait(5.0)
    assert not pinned.signal(signal.SIGKILL)


def test_without_proc_ps_knows(sleeper: subprocess.Popen[bytes]) -> None:
    """Its answer is the same each time, and None for one that is not there."""
    assert _from_ps(sleeper.pid) == _from_ps(sleeper.pid) is not None
    assert _from_ps(2**22 + 1) is None
