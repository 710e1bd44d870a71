"""
Runtimes without a runtime: programs of a few lines that start in 10 ms, speak to the supervising process, and die.

Each gets the words below as functions; ``LIFE`` is the how-manieth it is, counted in a file below the home.
"""

from __future__ import annotations

import sys

PRELUDE = """
import os, signal, socket, sys, time
home = os.environ["ORGLOOP_HOME"]
ear = socket.socket(fileno=int(os.environ["ORGLOOP_PARENT_FD"]))
def note(word):
    with open(home + "/ledger", "a") as file:
        file.write(word + "\\n")
def say(line):
    ear.send(line.encode() + b"\\n")
def tell_parent(number):
    os.kill(os.getppid(), number)
def obey(*numbers):
    "Wait for one of these signals; gives its number."
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    say('{"word": "ready", "port": 4711}')
    return lambda: signal.sigwait(numbers)
note("life")
LIFE = open(home + "/ledger").read().count("life")
"""


def program(body: str) -> list[str]:
    """The command line of a program with this body."""
    return [sys.executable, "-S", "-E", "-c", PRELUDE + body]
