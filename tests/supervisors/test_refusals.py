"""Refusals: what could never work is refused where it is written, in words that say what, where and what to do."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import pytest

from orgloop_supervisors import (
    AutoShutdown,
    Backoff,
    ChildSpec,
    Restart,
    Shutdown,
    Strategy,
    SupervisorSpec,
)
from tests.supervisors.harness import every_schedule
from tests.supervisors.stage import Stage, idle, states

Make = Callable[..., object]
Refused = dict[str, tuple[Make, str]]
"""By what is wrong: what is refused, and a pattern of the message."""


def child(**spec: Any) -> ChildSpec[Any]:
    """A child ``a`` that can work, but for what is said."""
    return ChildSpec(**{"id": "a", "run": idle, **spec})


def supervisor(*children: Any, **spec: Any) -> SupervisorSpec:
    """A supervisor ``top`` that can work, but for what is said."""
    return SupervisorSpec(**{"name": "top", "children": children, **spec})


WAITS_TOO_LONG = Backoff(initial=1, maximum=4)
SIGNIFICANT: dict[str, Any] = {"restart": Restart.TRANSIENT, "significant": True}

NO_LIMIT = r"must be above 0 s \(inf: no limit\)"
FOR_EVER = r"must be 0 s or more \(inf: for ever\)"
FINITE = "must be finite and 0 s or more"
NUMBERS: list[tuple[Make, str, str, str]] = [
    (Shutdown, "Shutdown", "drain", FOR_EVER),
    (Shutdown, "Shutdown", "grace", FOR_EVER),
    (Backoff, "Backoff", "initial", FINITE),
    (Backoff, "Backoff", "maximum", FINITE),
    (Backoff, "Backoff", "factor", "must be finite and at least 1, or waits would shrink"),
    (Backoff, "Backoff", "jitter", "must be a share between 0 and 1"),
    (Backoff, "Backoff", "reset_after", FOR_EVER),
    (child, "child 'a'", "start_timeout", NO_LIMIT),
    (child, "child 'a'", "watchdog", NO_LIMIT),
    (supervisor, "supervisor 'top'", "period", NO_LIMIT),
    (supervisor, "supervisor 'top'", "intensity", r"must be a whole number, 0 or more \(inf: never give up\)"),
    (supervisor, "supervisor 'top'", "max_children", r"must be a whole number, 0 or more \(inf: no limit\)"),
]
"""Every number there is: who takes it, what the refusal calls that, the name, and what it must be."""


@pytest.mark.parametrize("value", [math.nan, -1, -0.001, -math.inf, True, False, "1", None, [1]], ids=repr)
@pytest.mark.parametrize(("make", "where", "name", "rule"), NUMBERS, ids=[name for _, _, name, _ in NUMBERS])
def test_what_is_no_number_of_its_kind_is_refused(make: Make, where: str, name: str, rule: str, value: object) -> None:
    """NaN, negative numbers, bools and other types, wherever a number is asked for."""
    with pytest.raises(ValueError, match=rf"^{where}: {name} {rule}, got ") as caught:
        make(**{name: value})

    assert str(caught.value).endswith(f"got {value!r}")


OUT_OF_RANGE: Refused = {
    "no time to start": (lambda: child(start_timeout=0), r"^child 'a': start_timeout must be above 0 s .*, got 0$"),
    "no time to beat": (lambda: child(watchdog=0.0), r"^child 'a': watchdog must be above 0 s .*, got 0.0$"),
    "no period": (lambda: supervisor(period=0), r"^supervisor 'top': period must be above 0 s .*, got 0$"),
    "half a restart": (
        lambda: supervisor(intensity=2.5),
        r"^supervisor 'top': intensity must be a whole number, .*, got 2.5$",
    ),
    "half a child": (
        lambda: supervisor(max_children=2.5),
        r"^supervisor 'top': max_children must be a whole number, .*, got 2.5$",
    ),
    "an endless first wait": (
        lambda: Backoff(initial=math.inf, maximum=math.inf),
        r"^Backoff: initial must be finite .*, got inf; maximum must be finite .*, got inf$",
    ),
    "an endless factor": (lambda: Backoff(factor=math.inf), r"^Backoff: factor must be finite and .*, got inf$"),
    "a factor that shrinks": (lambda: Backoff(factor=0.999), r"^Backoff: factor must be .* at least 1, .*, got 0.999$"),
    "more than all": (lambda: Backoff(jitter=1.001), r"^Backoff: jitter must be a share between 0 and 1, got 1.001$"),
    "a first wait above the maximum": (
        lambda: Backoff(initial=9, maximum=8),
        r"^Backoff: initial \(9 s\) is above maximum \(8 s\); raise maximum$",
    ),
}


@pytest.mark.parametrize(("make", "message"), OUT_OF_RANGE.values(), ids=OUT_OF_RANGE)
def test_a_number_out_of_range_is_refused(make: Make, message: str) -> None:
    """The bounds that only some numbers have."""
    with pytest.raises(ValueError, match=message):
        make()


WRONG_TYPES: Refused = {
    "a word for a Restart": (
        lambda: child(restart="permanent"),
        r"^child 'a': restart must be one of Restart.PERMANENT, Restart.TRANSIENT, Restart.TEMPORARY, got 'permanent'",
    ),
    "a word for a Strategy": (
        lambda: supervisor(strategy="one_for_all"),
        r"^supervisor 'top': strategy must be one of Strategy.ONE_FOR_ONE, .*, got 'one_for_all'$",
    ),
    "a word for an AutoShutdown": (
        lambda: supervisor(auto_shutdown="never"),
        r"^supervisor 'top': auto_shutdown must be one of AutoShutdown.NEVER, .*, got 'never'$",
    ),
    "another choice": (
        lambda: child(restart=Strategy.ONE_FOR_ONE),
        r"^child 'a': restart must be one of Restart.PERMANENT, .*, got <Strategy.ONE_FOR_ONE",
    ),
    "a number for a Shutdown": (lambda: child(shutdown=5.0), r"^child 'a': shutdown must be a Shutdown, got 5.0$"),
    "a number for a Backoff": (lambda: child(backoff=1), r"^child 'a': backoff must be a Backoff, got 1$"),
    "a number for significant": (lambda: child(significant=0), r"^child 'a': significant must be a bool, got 0$"),
    "a word for notify": (lambda: child(notify="yes"), r"^child 'a': notify must be a bool, got 'yes'$"),
    "a number for ordered": (lambda: supervisor(ordered=0), r"^supervisor 'top': ordered must be a bool, got 0$"),
    "nothing to run": (lambda: child(run=None), r"^child 'a': run must be an async function, got None$"),
    "a word for a hook": (
        lambda: supervisor(on_event="log"),
        r"^supervisor 'top': on_event must be a function that takes an Event, got 'log'$",
    ),
    "an empty id": (lambda: child(id=""), r"^child '': id must be a non-empty string, got ''$"),
    "a number for an id": (lambda: child(id=7), r"^child 7: id must be a non-empty string, got 7$"),
    "an empty name": (lambda: supervisor(name=""), r"^supervisor '': name must be a non-empty string, got ''$"),
    "no name": (lambda: supervisor(name=None), r"^supervisor None: name must be a non-empty string, got None$"),
    "a function for a child": (
        lambda: supervisor(idle),
        r"^supervisor 'top': children\[0\] must be a ChildSpec, got <function idle",
    ),
    "a supervisor for a child": (
        lambda: supervisor(child(), supervisor(name="below")),
        r"^supervisor 'top': children\[1\] is a SupervisorSpec; add 'below' with \.as_child\(\)$",
    ),
    "one child for several": (lambda: supervisor(children=child()), r"^supervisor 'top': children must be .*, got "),
    "None for no children": (lambda: supervisor(children=None), r"^supervisor 'top': children must be .*, got None$"),
    "one argument for several": (lambda: child(args=5), r"^child 'a': args must be .*, got 5$"),
    "a text for arguments": (lambda: child(args="8080"), r"^child 'a': args must be .*, got '8080'$"),
    "a number past all floats": (lambda: child(watchdog=10**400), r"^child 'a': watchdog must be above 0 s"),
    "a count past all floats": (lambda: supervisor(intensity=10**400), r"^supervisor 'top': intensity must be"),
    "a field and an id": (
        lambda: supervisor(child(), child(), period=-1),
        r"^supervisor 'top': period must be .*; 2 children have the id 'a'",
    ),
}


@pytest.mark.parametrize(("make", "message"), WRONG_TYPES.values(), ids=WRONG_TYPES)
def test_a_value_of_another_type_is_refused(make: Make, message: str) -> None:
    """The message shows what was given, and for a choice, what there is to choose from."""
    with pytest.raises(ValueError, match=message):
        make()


IMPOSSIBLE_TOGETHER: Refused = {
    "one id twice": (
        lambda: supervisor(child(), child(id="b"), child()),
        r"^supervisor 'top': 2 children have the id 'a'; ids name children, so give each its own$",
    ),
    "significant and permanent": (
        lambda: child(significant=True),
        r"^child 'a': significant and permanent exclude each other: .*; make it transient or temporary$",
    ),
    "a significant and permanent supervisor": (
        lambda: supervisor().as_child(significant=True),
        r"^child 'top': significant and permanent exclude each other: .*; make it transient or temporary$",
    ),
    "significant, and nobody listens": (
        lambda: supervisor(child(**SIGNIFICANT)),
        r"^supervisor 'top': child 'a' is significant, but .* NEVER; choose ANY_ or ALL_SIGNIFICANT$",
    ),
    "a rest without order": (
        lambda: supervisor(child(), strategy=Strategy.REST_FOR_ONE, ordered=False),
        r"^supervisor 'top': rest_for_one restarts those after the failed child, so it needs ordered=True$",
    ),
    "more than max_children": (
        lambda: supervisor(child(), child(id="b"), max_children=1),
        r"^supervisor 'top': 2 children are more than max_children=1$",
    ),
    "waits of 7 s in 5 s": (
        lambda: supervisor(child(backoff=WAITS_TOO_LONG), intensity=3, period=5),
        r"^supervisor 'top': child 'a' could fail for ever .*: 3 restarts wait 7 s, and only those within 5 s count; ",
    ),
    "waits too long: what to do": (
        lambda: supervisor(child(backoff=WAITS_TOO_LONG), intensity=3, period=5),
        r"; lengthen period, shorten backoff, or say intensity=inf$",
    ),
    "waits too long for a supervisor": (
        lambda: supervisor(supervisor(name="below").as_child(backoff=WAITS_TOO_LONG)),
        r"^supervisor 'top': child 'below' could fail for ever ",
    ),
    "waits too long by far, and the answer is quick": (
        lambda: supervisor(child(backoff=WAITS_TOO_LONG), intensity=10**15, period=1e6),
        r"^supervisor 'top': child 'a' could fail for ever .*: 1e\+15 restarts wait 4e\+15 s",
    ),
}


@pytest.mark.parametrize(("make", "message"), IMPOSSIBLE_TOGETHER.values(), ids=IMPOSSIBLE_TOGETHER)
def test_what_does_not_go_together_is_refused(make: Make, message: str) -> None:
    """Each part could work; the whole could not, and the message names the ways out."""
    with pytest.raises(ValueError, match=message):
        make()


POSSIBLE: dict[str, Make] = {
    "no time to stop": lambda: Shutdown(drain=0, grace=0),
    "all time to stop": lambda: Shutdown(drain=math.inf, grace=math.inf),
    "a curve of nothing": lambda: Backoff(initial=0, maximum=0, factor=1, jitter=0, reset_after=0),
    "a first wait at the maximum, and all chance": lambda: Backoff(initial=8, maximum=8, jitter=1),
    "never reset": lambda: Backoff(reset_after=math.inf),
    "hardly any time": lambda: child(start_timeout=1e-9, watchdog=1e-9),
    "all the time": lambda: child(start_timeout=math.inf, watchdog=math.inf),
    "forgive nothing, hold nobody": lambda: supervisor(intensity=0, period=1e-9, max_children=0),
    "a whole number that is a float": lambda: supervisor(intensity=2.0, max_children=2.0),
    "no limits": lambda: supervisor(intensity=math.inf, period=math.inf, max_children=math.inf),
    "just max_children": lambda: supervisor(child(), child(id="b"), max_children=2),
    "a rest in order": lambda: supervisor(child(), strategy=Strategy.REST_FOR_ONE),
    "all without order": lambda: supervisor(child(), strategy=Strategy.ONE_FOR_ALL, ordered=False),
    "a supervisor as a child": lambda: supervisor(supervisor(name="below").as_child()),
    "a list of children": lambda: supervisor(children=[child()]),
    "waits of 7 s in 7 s": lambda: supervisor(child(backoff=WAITS_TOO_LONG), intensity=3, period=7),
    "waits of 3 s in 5 s": lambda: supervisor(child(backoff=WAITS_TOO_LONG), intensity=2, period=5),
    "the largest float, as an int": lambda: child(watchdog=int(sys.float_info.max)),
    "never restarted": lambda: supervisor(child(backoff=WAITS_TOO_LONG, restart=Restart.TEMPORARY)),
    "never give up": lambda: supervisor(child(backoff=WAITS_TOO_LONG), intensity=math.inf),
    "one significant": lambda: supervisor(child(**SIGNIFICANT), auto_shutdown=AutoShutdown.ANY_SIGNIFICANT),
    "all significant": lambda: supervisor(child(**SIGNIFICANT), auto_shutdown=AutoShutdown.ALL_SIGNIFICANT),
    "a significant supervisor": lambda: supervisor().as_child(**SIGNIFICANT),
    "significant and temporary": lambda: child(restart=Restart.TEMPORARY, significant=True),
}


@pytest.mark.parametrize("make", POSSIBLE.values(), ids=POSSIBLE)
def test_what_is_just_possible_is_accepted(make: Make) -> None:
    """Each bound, from the right side."""
    assert make() is not None


MANY_FAULTS: dict[str, tuple[Make, list[str]]] = {
    "Shutdown": (lambda: Shutdown(drain=-1, grace=-1), ["Shutdown: ", "drain must", "grace must"]),
    "Backoff": (
        lambda: Backoff(initial=-1, factor=0, jitter=2),
        ["Backoff: ", "initial must", "factor must", "jitter must"],
    ),
    "child": (
        lambda: child(run=3, restart="no", watchdog=0, start_timeout=0),
        ["child 'a': ", "run must", "restart must", "watchdog must", "start_timeout must"],
    ),
    "child, field and whole": (
        lambda: child(significant=True, start_timeout=-1),
        ["child 'a': ", "start_timeout must", "significant and permanent"],
    ),
    "supervisor, fields": (
        lambda: supervisor(3, supervisor(), intensity=-1, period=0, ordered="no", max_children=math.nan),
        ["top", "children[0] must", "children[1] is", "intensity must", "period must", "ordered must", "max_children"],
    ),
    "supervisor, whole": (
        lambda: supervisor(
            *[child(backoff=WAITS_TOO_LONG), child(**SIGNIFICANT)],
            *[child(id="b", backoff=WAITS_TOO_LONG)] * 3,
            max_children=4,
            strategy=Strategy.REST_FOR_ONE,
            ordered=False,
        ),
        [
            *["supervisor 'top': ", "2 children have the id 'a'", "3 children have the id 'b'", "max_children=4"],
            *["ordered=True", "'a' could fail for ever", "'a' is significant", "'b' could fail for ever"],
        ],
    ),
}


@pytest.mark.parametrize(("make", "faults"), MANY_FAULTS.values(), ids=MANY_FAULTS)
def test_all_faults_are_named_at_once(make: Make, faults: list[str]) -> None:
    """One message, one place, every fault; nobody mends a spec seven times."""
    with pytest.raises(ValueError, match="; ") as caught:
        make()

    assert [fault for fault in faults if fault not in str(caught.value)] == []


@every_schedule
async def test_start_child_refuses_a_significant_child_that_nobody_listens_to() -> None:
    """What the supervisor would refuse in its list, it refuses later too; nothing is started."""
    stage = Stage()

    async with stage.open() as top:
        with pytest.raises(ValueError, match=r"^supervisor 'top': child 'a' is significant, but auto_shutdown is"):
            await top.start_child(stage.child("a", **SIGNIFICANT))
        assert (states(top), stage.log) == ({}, [])


@every_schedule
async def test_start_child_refuses_waits_that_would_never_let_it_give_up() -> None:
    """Three waits of 1, 2 and 4 s do not fit into 5 s."""
    stage = Stage()

    async with stage.open() as top:
        with pytest.raises(ValueError, match=r"^supervisor 'top': child 'a' could fail for ever .* say intensity=inf$"):
            await top.start_child(stage.child("a", backoff=WAITS_TOO_LONG))
        assert (states(top), stage.log) == ({}, [])
