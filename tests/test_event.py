"""Events: what can be one, their ids and times, the lifecycle contract, and their bytes."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orgloop.errors import EventError, OrgLoopError
from orgloop.event import (
    MAX_DEPTH,
    MAX_INT_BITS,
    OUTCOMES,
    PHASES,
    TYPES,
    Event,
    decode,
    dedupe_key,
    encode,
    end_of_exit,
    faults_of,
    follow,
    lifecycle_faults,
    new_id,
    timestamp_of,
    type_of_phase,
)

ID = re.compile(r"evt_[0-9a-f]{16,}")
EVENT = Event(
    "github", "resource.changed", {"platform": "github"}, {"pr": 7}, id="evt_1", timestamp="t", trace_id="trc"
)


def nested(depth: int) -> object:
    """Lists in lists, so many."""
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


# -- ids ---------------------------------------------------------------------------------------------------------------


def test_an_id_is_a_prefix_and_hex_digits() -> None:
    """So that it can be part of a path, a header and a log line."""
    assert ID.fullmatch(new_id())
    assert new_id("trc").startswith("trc_")


def test_ids_of_many_threads_are_unique() -> None:
    """Threads count together."""
    with ThreadPoolExecutor(8) as pool:
        made = [id_ for ids in pool.map(lambda _: [new_id() for _ in range(2_000)], range(8)) for id_ in ids]

    assert len(set(made)) == len(made)


def test_ids_of_a_forked_process_are_its_own() -> None:
    """A child does not go on to count where its parent does."""
    ids = 'os.write(1, " ".join([*(new_id() for _ in range(99)), ""]).encode())'  # in one piece: the two share a pipe
    code = f"import os; from orgloop.event import new_id; new_id(); child = os.fork(); {ids}; child and os.wait()"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()

    assert len(printed) == len(set(printed)) == 198
    assert all(ID.fullmatch(id_) for id_ in printed)


def test_each_event_has_an_id_and_a_trace_of_its_own() -> None:
    """Unless they are given."""
    first, second = (Event("s", "resource.changed", {"platform": "p"}) for _ in range(2))

    assert len({first.id, second.id, first.trace_id, second.trace_id}) == 4
    assert (EVENT.id, EVENT.trace_id) == ("evt_1", "trc")


# -- time --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at_s", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_700_000_000.25, "2023-11-14T22:13:20.250Z"),
        (1_700_000_000.0004, "2023-11-14T22:13:20.000Z"),
        (1_700_000_000.9996, "2023-11-14T22:13:21.000Z"),
        (951_782_399.999, "2000-02-28T23:59:59.999Z"),
        (951_782_400, "2000-02-29T00:00:00.000Z"),
        (-0.001, "1969-12-31T23:59:59.999Z"),
        (253_402_300_799, "9999-12-31T23:59:59.000Z"),
    ],
)
def test_a_time_is_written_in_utc_to_the_millisecond(at_s: float, text: str) -> None:
    """Rounded, with the carry."""
    assert timestamp_of(at_s) == text


def test_an_event_is_stamped_when_it_is_made() -> None:
    """Between before and after."""
    before = timestamp_of(time.time())
    made = Event("s", "resource.changed", {"platform": "p"}).timestamp

    assert before <= made <= timestamp_of(time.time())


# -- what can be an event ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("payload", [{}, [], None, "text", 0, True], ids=repr)
def test_any_json_value_can_be_a_payload(type_: str, payload: object) -> None:
    """Of every type of event."""
    assert faults_of(Event("s", type_, {"platform": "p", "anything": ["else"]}, payload)) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"source": ""}, "source: source must be a non-empty string"),
        ({"source": None}, "source: source must be a non-empty string"),
        ({"source": b"s"}, "source: source must be a non-empty string"),
        ({"type": "resource.Changed"}, "type: type must be one of: resource.changed, actor.stopped, message.received"),
        ({"type": None}, "type: type must be one of"),
        ({"type": ["resource.changed"]}, "type: type must be one of"),
        ({"type": {}}, "type: type must be one of"),
        ({"provenance": None}, "provenance: provenance must be an object"),
        ({"provenance": []}, "provenance: provenance must be an object"),
        ({"provenance": {}}, "provenance.platform: provenance.platform must be a string"),
        ({"provenance": {"platform": 1}}, "provenance.platform: provenance.platform must be a string"),
        ({"id": ""}, "id: id must be a string starting with"),
        ({"id": None}, "id: id must be a string starting with"),
        ({"id": "trc_1"}, "id: id must be a string starting with"),
        ({"id": "evt_"}, "id: id must be a string starting with"),
        ({"id": "evt_1\n"}, "id: id must be a string starting with"),
        ({"id": "evt_../x"}, "id: id must be a string starting with"),
        ({"id": "evt_é"}, "id: id must be a string starting with"),
        ({"id": "evt_" + "x" * 65}, "id: id must be a string starting with"),
        ({"timestamp": ""}, "timestamp: timestamp must be a non-empty string"),
        ({"timestamp": 0}, "timestamp: timestamp must be a non-empty string"),
        ({"trace_id": ""}, "trace_id: trace_id must be a non-empty string"),
        ({"trace_id": 7}, "trace_id: trace_id must be a non-empty string"),
    ],
    ids=repr,
)
def test_what_is_refused_as_an_event(change: dict[str, Any], complaint: str) -> None:
    """The error names the field and says what it must be."""
    with pytest.raises(EventError, match=f"^not an event: {re.escape(complaint)}"):
        attrs.evolve(EVENT, **change)


def test_all_faults_are_named_at_once() -> None:
    """Nobody has to try again to find the next one."""
    with pytest.raises(EventError) as caught:
        Event("", "x", {}, id="1", timestamp="", trace_id="")

    assert re.findall(r"(?:event: |; )([a-z_.]+): ", str(caught.value)) == [
        "id",
        "source",
        "timestamp",
        "trace_id",
        "type",
        "provenance.platform",
    ]


@pytest.mark.parametrize("id_", ["evt_a", "evt_0123456789abcdef", "evt_inbox-notify-1-abc123", "evt_" + "x" * 64])
def test_ids_that_others_made_are_taken(id_: str) -> None:
    """Letters, digits and dashes."""
    assert attrs.evolve(EVENT, id=id_).id == id_


def test_the_error_is_ours_and_a_value_error() -> None:
    """Both kinds of caller catch it."""
    assert issubclass(EventError, OrgLoopError)
    assert issubclass(EventError, ValueError)


def test_an_event_cannot_be_changed() -> None:
    """A fact stays as it is."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        EVENT.source = "other"  # type: ignore[misc]


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        ({"a": math.nan}, "payload.a: nan is not a JSON number"),
        ({"a": [0, -math.inf]}, "payload.a.1: -inf is not a JSON number"),
        ({"a": {1}}, "payload.a: set is not a JSON value"),
        ({"a": b"x"}, "payload.a: bytes is not a JSON value"),
        (object(), "payload: object is not a JSON value"),
        ({1: "a"}, "payload: keys must be strings, got 1"),
        ({"a": {None: 1}}, "payload.a: keys must be strings, got None"),
        ({"a": "\ud800"}, "payload.a: lone surrogates cannot be written as UTF-8"),
        ({"\udfff": 1}, "payload: lone surrogates cannot be written as UTF-8"),
        ({"a": 2**MAX_INT_BITS}, f"payload.a: a number of more than {MAX_INT_BITS} bits"),
        ({"a": -(2**MAX_INT_BITS)}, f"payload.a: a number of more than {MAX_INT_BITS} bits"),
        (nested(MAX_DEPTH + 1), "payload" + ".0" * MAX_DEPTH + f": nested deeper than {MAX_DEPTH}"),
    ],
    ids=range(12),
)
def test_what_json_does_not_know_is_a_fault(payload: object, fault: str) -> None:
    """Named by its place."""
    assert faults_of(attrs.evolve(EVENT, payload=payload)) == [fault]


@pytest.mark.parametrize(
    "payload",
    [nested(MAX_DEPTH), ("a", ("b",)), 2**MAX_INT_BITS - 1, -0.0, 1e308, "\x00\U0001f600\uffff", {"": {"": 0}}],
    ids=range(7),
)
def test_what_json_knows_is_none(payload: object) -> None:
    """Up to the limits."""
    assert faults_of(attrs.evolve(EVENT, payload=payload)) == []


@pytest.mark.parametrize("leaf", ["a", "é", 1.5, 2**80, None], ids=repr)
@pytest.mark.parametrize("in_maps", [False, True])
def test_only_containers_count_for_the_depth(leaf: object, *, in_maps: bool) -> None:
    """Whatever is in the innermost one."""
    deepest = leaf
    for _ in range(MAX_DEPTH):
        deepest = {"a": deepest} if in_maps else [deepest]
    too_deep = {"a": deepest} if in_maps else [deepest]

    assert faults_of(attrs.evolve(EVENT, payload=deepest)) == []
    assert [fault.split(": ")[1] for fault in faults_of(attrs.evolve(EVENT, payload=too_deep))] == [
        f"nested deeper than {MAX_DEPTH}"
    ]


def test_faults_are_found_in_provenance_too() -> None:
    """And all of them, wherever they are."""
    event = attrs.evolve(EVENT, provenance={"platform": "p", "x": math.nan}, payload=[set(), "\ud800"])

    assert [fault.split(":")[0] for fault in faults_of(event)] == ["provenance.x", "payload.0", "payload.1"]


def test_a_list_that_holds_itself_is_too_deep() -> None:
    """The search ends."""
    circle: list[object] = []
    circle.append(circle)

    assert [fault.split(": ")[1] for fault in faults_of(attrs.evolve(EVENT, payload=circle))] == [
        f"nested deeper than {MAX_DEPTH}"
    ]


# -- what follows from what --------------------------------------------------------------------------------------------


def test_what_follows_is_of_the_same_trace_and_one_hop_further() -> None:
    """Ancestors are listed oldest first; all else of the event stays."""
    child = Event("a", "actor.stopped", {"platform": "p"}, {"n": 1})
    grandchild = Event("b", "message.received", {"platform": "p"})

    second = follow(child, EVENT)
    third = follow(grandchild, second)

    assert second == attrs.evolve(child, trace_id=EVENT.trace_id, ancestors=(EVENT.id,))
    assert (third.id, third.trace_id, third.ancestors) == (grandchild.id, EVENT.trace_id, (EVENT.id, child.id))


# -- the lifecycle of a session ----------------------------------------------------------------------------------------


def session_event(phase: str, /, **lifecycle: object) -> Event:
    """A sound step of a session, but for what is given; None takes a key out."""
    terminal = PHASES.get(phase, False)
    sound = {"phase": phase, "terminal": terminal, "outcome": "success" if terminal else None}
    made = sound | {"dedupe_key": dedupe_key("codex", "s1", phase)} | lifecycle
    payload = {
        "lifecycle": {key: value for key, value in made.items() if value is not None},
        "session": {"id": "s1", "adapter": "codex", "harness": "codex"},
    }
    return attrs.evolve(EVENT, type="actor.stopped" if terminal else "resource.changed", payload=payload)


@pytest.mark.parametrize(
    ("phase", "terminal", "type_"),
    [
        ("started", False, "resource.changed"),
        ("active", False, "resource.changed"),
        ("completed", True, "actor.stopped"),
        ("failed", True, "actor.stopped"),
        ("stopped", True, "actor.stopped"),
    ],
)
def test_a_phase_says_whether_it_is_the_end_and_of_what_type(phase: str, terminal: bool, type_: str) -> None:
    """The end of a session is the end of an actor."""
    assert (PHASES[phase], type_of_phase(phase)) == (terminal, type_)
    assert faults_of(session_event(phase)) == []


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("phase", [phase for phase, terminal in PHASES.items() if terminal])
def test_every_end_may_have_every_outcome(phase: str, outcome: str) -> None:
    """A failed phase may even be a success: the contract does not judge."""
    assert faults_of(session_event(phase, outcome=outcome)) == []


@pytest.mark.parametrize(
    ("exit_status", "end"),
    [
        (0, ("completed", "success", "exit_code_0")),
        (1, ("failed", "failure", "exit_code_1")),
        (2, ("failed", "failure", "exit_code_2")),
        (127, ("failed", "failure", "exit_code_127")),
        (128, ("failed", "failure", "exit_code_128")),
        (129, ("stopped", "cancelled", "signal_1")),
        (130, ("stopped", "cancelled", "sigint")),
        (137, ("stopped", "cancelled", "sigkill")),
        (143, ("stopped", "cancelled", "sigterm")),
        (255, ("stopped", "cancelled", "signal_127")),
    ],
)
def test_how_an_exit_status_is_read(exit_status: int, end: tuple[str, str, str]) -> None:
    """Above 128 it was a signal."""
    assert end_of_exit(exit_status) == end


def test_a_step_is_identified_by_harness_session_and_phase() -> None:
    """In this order."""
    assert dedupe_key("claude-code", "s1", "stopped") == "claude-code:s1:stopped"


AT = "payload.lifecycle"
ONE_OF = "must be one of: started, active, completed, failed, stopped"
ENDS = "must be one of: success, failure, cancelled, unknown"


@pytest.mark.parametrize(
    ("phase", "change", "fault"),
    [
        ("napping", {}, f"{AT}.phase: {ONE_OF}"),
        ("active", {"phase": None}, f"{AT}.phase: {ONE_OF}"),
        ("active", {"phase": 1}, f"{AT}.phase: {ONE_OF}"),
        ("active", {"phase": []}, f"{AT}.phase: {ONE_OF}"),
        ("active", {"phase": {}}, f"{AT}.phase: {ONE_OF}"),
        ("active", {"terminal": True}, f'{AT}.terminal: must be false for non-terminal phase "active"'),
        ("failed", {"terminal": False}, f'{AT}.terminal: must be true for terminal phase "failed"'),
        ("failed", {"terminal": 1}, f'{AT}.terminal: must be true for terminal phase "failed"'),
        ("failed", {"terminal": None}, f'{AT}.terminal: must be true for terminal phase "failed"'),
        ("stopped", {"outcome": None}, f"{AT}.outcome: required for terminal events; {ENDS}"),
        ("stopped", {"outcome": "fine"}, f"{AT}.outcome: required for terminal events; {ENDS}"),
        ("stopped", {"outcome": []}, f"{AT}.outcome: required for terminal events; {ENDS}"),
        ("started", {"outcome": "success"}, f'{AT}.outcome: must be absent for non-terminal phase "started"'),
        ("started", {"dedupe_key": ""}, f"{AT}.dedupe_key: must be a non-empty string"),
        ("started", {"dedupe_key": None}, f"{AT}.dedupe_key: must be a non-empty string"),
    ],
    ids=range(15),
)
def test_what_breaks_the_lifecycle_contract(phase: str, change: dict[str, object], fault: str) -> None:
    """One thing wrong, one fault, with its place."""
    assert lifecycle_faults(session_event(phase, **change)) == [fault]


@pytest.mark.parametrize("phase", PHASES)
def test_the_type_must_be_that_of_the_phase(phase: str) -> None:
    """An end is not a change, and the other way round."""
    wrong = "resource.changed" if PHASES[phase] else "actor.stopped"

    assert faults_of(attrs.evolve(session_event(phase), type=wrong)) == [
        f'type: event type "{wrong}" does not match phase "{phase}" (expected "{type_of_phase(phase)}")'
    ]


@pytest.mark.parametrize("field", ["id", "adapter", "harness"])
@pytest.mark.parametrize("value", [None, "", 7], ids=repr)
def test_a_session_names_itself_its_adapter_and_its_harness(field: str, value: object) -> None:
    """Each a string with something in it."""
    event = session_event("active")
    session = event.payload["session"] | {field: value}

    assert lifecycle_faults(attrs.evolve(event, payload=event.payload | {"session": session})) == [
        f"payload.session.{field}: must be a non-empty string"
    ]


@pytest.mark.parametrize("payload", [{}, [], None, {"lifecycle": 1, "session": "s1"}], ids=repr)
def test_lifecycle_and_session_must_be_objects(payload: object) -> None:
    """If an event is asked for its lifecycle."""
    assert lifecycle_faults(attrs.evolve(EVENT, payload=payload)) == [
        "payload.lifecycle: payload.lifecycle must be an object",
        "payload.session: payload.session must be an object",
    ]


def test_a_broken_lifecycle_is_a_fault_of_the_event() -> None:
    """If it claims to be of a session."""
    event = session_event("napping")

    assert faults_of(event) == lifecycle_faults(event) != []


@pytest.mark.parametrize(
    "payload",
    [
        {"session": None},
        {"lifecycle": "monthly", "session": {}},
        {"lifecycle": {"policy": "delete"}, "session": {"id": 1}},
        {"lifecycle": {"phase": "beta"}},
        {"lifecycle": {"phase": "beta"}, "session": "s1"},
    ],
    ids=range(5),
)
def test_what_is_not_of_a_coding_agent_is_not_asked_for_its_lifecycle(payload: object) -> None:
    """The body of a stranger's webhook may have keys of these names."""
    assert faults_of(attrs.evolve(EVENT, payload=payload)) == []


# -- bytes -------------------------------------------------------------------------------------------------------------

TEXT = st.text(max_size=20)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
ANY_VALUES = st.recursive(
    JSON_VALUES | st.floats() | st.text(st.characters(categories=["Cs", "Ll"])) | st.binary() | st.just(object()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | st.integers(), inner, max_size=3),
    max_leaves=6,
)


@given(JSON_VALUES, st.dictionaries(TEXT, JSON_VALUES, max_size=3), st.sampled_from(TYPES), st.none() | TEXT)
@settings(deadline=None)
def test_an_event_reads_back_as_it_was_written(
    payload: Any, provenance: dict[str, Any], type_: str, module: str | None
) -> None:
    """Every JSON value, in one line, which any reader of JSON understands."""
    written = Event("s", type_, {**provenance, "platform": "p"}, payload, module=module, ancestors=("evt_1", "evt_2"))
    line = encode(written)

    assert faults_of(written) == []
    assert decode(line) == written
    assert b"\n" not in line
    assert json.loads(line)["payload"] == payload


@given(ANY_VALUES)
@settings(deadline=None)
def test_what_has_no_faults_can_be_written_and_read(payload: Any) -> None:
    """The search for faults knows all that the bytes would stumble over."""
    event = attrs.evolve(EVENT, payload=payload)
    if not faults_of(event):
        assert decode(encode(event)) == event


def test_the_deepest_and_the_largest_that_have_no_faults_can_be_written_and_read() -> None:
    """The limits are within those of the encoder."""
    event = attrs.evolve(EVENT, payload=[nested(MAX_DEPTH - 1), 2**MAX_INT_BITS - 1, -(2**MAX_INT_BITS) + 1])

    assert faults_of(event) == []
    assert decode(encode(event)) == event


def test_for_whom_it_is_stands_there_only_if_it_is_for_one() -> None:
    """And what looks like it in the payload is left as it is."""
    payload = {"only_for": None, "text": '"only_for":null,'}
    for_all, for_one = (attrs.evolve(EVENT, payload=payload, only_for=only_for) for only_for in (None, ("m", "r")))

    assert encode(for_all).count(b"only_for") == 2
    assert b'"only_for":["m","r"]' in encode(for_one)
    assert [decode(encode(for_all)), decode(encode(for_one))] == [for_all, for_one]


@pytest.mark.parametrize(
    "payload",
    ["\ud800", object(), {(1, 2): 3}, 10**5_000, nested(100_000)],
    ids=["surrogate", "object", "key", "digits", "depth"],
)
def test_what_cannot_be_written_is_an_event_error(payload: object) -> None:
    """And names the event."""
    with pytest.raises(EventError, match=r"^event evt_1 cannot be written as JSON: "):
        encode(attrs.evolve(EVENT, payload=payload))


def line(payload: str = "{}", **change: str) -> bytes:
    """A line with these bytes as payload, and with these for other fields."""
    fields = {"source": '"s"', "type": '"resource.changed"', "provenance": '{"platform":"p"}', "id": '"evt_1"'}
    fields |= {"timestamp": '"t"', "trace_id": '"x"', "payload": payload} | change
    return ("{" + ",".join(f'"{key}":{value}' for key, value in fields.items()) + "}").encode(errors="surrogatepass")


def test_a_line_that_another_wrote_is_read() -> None:
    """What the tests below break is sound."""
    assert decode(line('{"a":1}')).payload == {"a": 1}


HOSTILE = [
    *[line("[" * depth) for depth in (1, 100_000)],
    line("[" * 100_000 + "]" * 100_000),
    line('{"a":' * 100_000),
    *[
        line(text)
        for text in ("NaN", "Infinity", "-Infinity", "1e999", "01", "+1", "0x1", "'a'", "tru", "", "9" * 5_000)
    ],
    *[
        line(text)
        for text in (r'"\ud800"', r'"\ude00\ud83d"', '"\ud800"', '"\n"', r'"\x"', "[1,]", '{"a":1,}', "{1:2}")
    ],
    line('"é"').replace("é".encode(), b"\xe9"),
    line('"a"').replace(b'"a"', b'"\xc0\x80"'),
    line() + b"x",
    line() + line(),
    line().replace(b":", b"="),
    line().decode().encode("utf-16"),
    b"\xef\xbb\xbf" + line(),
    b"\x00" * 100,
    *[b"", b" ", b"null", b"true", b"1", b'"evt_1"', b"[]", b"{}", b"\xff", b"[" * 100_000],
    *[line(source=value) for value in ("null", "1", '""', "[]")],
    *[line(type=value) for value in ("null", "1", '""', '"x"', "[]")],
    *[line(provenance=value) for value in ("null", "[]", "{}", '{"platform":1}', '"p"')],
    *[line(id=value) for value in ("null", "1", '""', '"trc_1"', r'"evt_1\n"')],
    *[line(timestamp=value) for value in ("null", "1", '""')],
    *[line(trace_id=value) for value in ("null", "1", '""')],
    *[line(module=value) for value in ("1", "[]", "false")],
    *[line(ancestors=value) for value in ("null", "1", '"evt_1"', "[1]", "{}")],
]


@pytest.mark.parametrize("bad", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_bytes_are_an_event_error(bad: bytes) -> None:
    """Broken, of the wrong type, too deep, too large: nothing else is ever raised."""
    with pytest.raises(EventError, match=r"^not an event: (?!not an event)"):
        decode(bad)


def test_every_beginning_of_a_line_is_an_event_error() -> None:
    """A torn write is never taken for an event."""
    whole = encode(attrs.evolve(EVENT, payload={"text": "é\\", "list": [1.5, None]}, module="m"))

    for length in range(len(whole)):
        with pytest.raises(EventError):
            decode(whole[:length])


@given(
    st.binary(max_size=60) | st.builds(lambda at, bad: line()[:at] + bad + line()[at:], st.integers(0, 99), st.binary())
)
@settings(deadline=None)
def test_any_bytes_are_an_event_or_an_event_error(noise: bytes) -> None:
    """Noise alone, and noise within a line."""
    try:
        event = decode(noise)
    except EventError:
        return
    assert isinstance(event, Event)


@pytest.mark.parametrize(
    ("twice", "found"),
    [(line('{"a":1,"a":2}'), {"a": 2}), (line("1").replace(b"}", b"}", 1)[:-1] + b',"payload":2}', 2)],
    ids=["within", "field"],
)
def test_of_a_key_that_is_there_twice_the_last_counts(twice: bytes, found: object) -> None:
    """As with every reader of JSON; who wants it refused must do so before there is an event."""
    assert decode(twice).payload == found


def test_a_key_that_is_not_an_events_is_passed_over() -> None:
    """A line of a later version, with more in it, can be read."""
    assert decode(line(invented="1")) == decode(line())
