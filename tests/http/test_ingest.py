"""From a request to the log: nothing is promised before it is durable, and nothing is taken that cannot be written."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from orgloop.errors import EventError
from orgloop.http.limits import Limits
from orgloop.http.strict_json import read_json
from orgloop.runtime.runtime import open_runtime
from orgloop.sdk import Event, Received, Request
from tests.http.door import HOST, events, open_door, webhook
from tests.http.server import EVENT, Intake, answered, request

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@attrs.define
class Told:
    """A source that makes an event of each request."""

    async def receive(self, request: Request) -> Received:
        return Received([Event("github", "resource.changed", {"platform": "test"}, json.loads(request.body))])


@pytest.mark.parametrize("raw", [webhook(), events(json.dumps(EVENT).encode())])
async def test_not_a_byte_is_sent_before_the_events_are_durable(raw: bytes) -> None:
    """The answer waits for the intake, on either way in."""
    durable, came = trio.Event(), bytearray()
    async with open_door(Intake(before=durable.wait)) as hall, trio.open_nursery() as nursery:
        stream = hall.connect()

        async def read() -> None:
            while data := await stream.receive_some():
                came.extend(data)

        nursery.start_soon(read)
        await stream.send_all(raw)
        await trio.testing.wait_all_tasks_blocked()
        assert not came
        durable.set()

    assert answered(bytes(came)).status in {200, 202}


async def ask_a_runtime(*bodies: Any) -> list[tuple[int, str]]:
    """Status and error of each."""
    async with open_runtime() as runtime:
        await runtime.load_module({"metadata": {"name": "m"}, "sources": [], "actors": [], "routes": []})
        async with open_door(runtime) as hall:
            got = [
                await hall.ask(events(body if isinstance(body, bytes) else json.dumps(body).encode()))
                for body in bodies
            ]
            return [(one.status, one.value.get("error", "")) for one in got]


async def test_a_runtime_admits_what_it_can_write() -> None:
    """Control characters, bidi overrides and long lines are data, and so are fields with the names of ours."""
    payload = {
        "text": "\x00\x1b[31m\u202e\U000e0041",
        "long": "x" * 900_000,
        "type": "ack",
        "trace_id": 7,
        "__class__": 1,
    }

    assert await ask_a_runtime({**EVENT, "payload": payload}) == [(202, "")]


async def test_a_runtime_hears_its_sources_by_name() -> None:
    """200 once the event is admitted, 404 where there is nobody to hear it."""
    module = {
        "metadata": {"name": "m"},
        "sources": [{"id": "github", "connector": "given"}],
        "actors": [],
        "routes": [],
    }
    async with open_runtime() as runtime:
        await runtime.load_module(module, sources={"github": Told()})
        async with open_door(runtime) as hall:
            got = [
                (await hall.ask(request("POST", target, b"{}", Host=HOST))).status
                for target in ("/webhook/github", "/webhook/m/github", "/webhook/n/github", "/webhook/gitlab")
            ]

    assert got == [200, 200, 404, 404]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"type": "nothing"}, "type: type must be one of"),
        ({"type": 7}, "type"),
        ({"source": None}, "source"),
        ({"provenance": []}, "provenance"),
        ({"id": "../../x"}, 'id: id must be a string starting with "evt_"'),
        ({"colour": "red"}, "unknown fields colour"),
        ({"payload": {"title": "\ud800"}}, "payload.title: lone surrogates cannot be written as UTF-8"),
    ],
)
async def test_a_runtime_refuses_by_name_what_it_cannot(fields: dict[str, Any], error: str) -> None:
    """400, and the field."""
    ((status, text),) = await ask_a_runtime({**EVENT, **fields})

    assert status == 400
    assert error in text


@settings(max_examples=50)
@given(value=VALUES)
def test_what_is_json_is_read_as_it_is(value: Any) -> None:
    """Whatever a sender may write, short of the limits."""
    assert read_json(json.dumps(value).encode(), Limits()) == value


@given(raw=st.binary(max_size=60))
def test_what_is_not_is_the_senders_fault(raw: bytes) -> None:
    """A value, or an EventError: no other."""
    with contextlib.suppress(EventError):
        read_json(raw, Limits())


@pytest.mark.parametrize(("depth", "is_taken"), [(64, True), (65, False)])
def test_values_may_be_nested_so_deep(depth: int, is_taken: bool) -> None:
    """64 levels, of lists or of objects."""
    for body in (b"[" * depth + b"]" * depth, b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)):
        if is_taken:
            assert read_json(body, Limits())
        else:
            with pytest.raises(EventError, match="nested deeper than 64"):
                read_json(body, Limits())


@pytest.mark.parametrize(("count", "is_taken"), [(100_000, True), (100_001, False)])
def test_there_may_be_so_many_values(count: int, is_taken: bool) -> None:
    """A hundred thousand."""
    body = b"[" + b",".join([b"1"] * count) + b"]"
    if is_taken:
        assert len(read_json(body, Limits())) == count
    else:
        with pytest.raises(EventError, match="more than 100000 values"):
            read_json(body, Limits())
