"""OpenTelemetry: what a collector is sent, and what becomes of it when it does not take it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from orgloop.sdk import SEVERITY_OF, Notice
from orgloop_connectors.loggers._otlp import MAX_BODY_CHARS, Hops, log_record, root_id, trace_id
from orgloop_connectors.loggers.otel import OFFER, Otel, OtelConfig
from tests.connectors.outside import Heard, Outside, Says, open_outside, unused_port
from tests.connectors.stage import checked, made

AT = "2026-01-31T09:00:00.250Z"
AT_NS = "1769850000250000000"
NOW_NS = 1_769_850_001_000_000_000


def notice(phase: str = "deliver.failure", **fields: Any) -> Notice:
    return Notice(**{"timestamp": AT, "phase": phase, "event_id": "evt_1", "trace_id": "trc_1", **fields})


def otel(outside: Outside | str, **config: Any) -> Otel:
    url = outside if isinstance(outside, str) else outside.url
    batch = {"scheduled_delay_ms": 0, **config.pop("batch", {})}
    logger: Otel = made(OFFER, {"endpoint": f"{url}/v1/logs", "batch": batch, **config})
    return logger


async def logged(logger: Otel, *notices: Notice) -> None:
    """As the runtime does: in a thread."""
    for one in notices:
        await trio.to_thread.run_sync(logger.log, one)


def records(heard: Sequence[Heard]) -> list[dict[str, Any]]:
    return [
        record
        for one in heard
        if one.path == "/v1/logs"
        for resource in one.json()["resourceLogs"]
        for scope in resource["scopeLogs"]
        for record in scope["logRecords"]
    ]


def spans(heard: Sequence[Heard]) -> list[dict[str, Any]]:
    return [
        span
        for one in heard
        if one.path == "/v1/traces"
        for resource in one.json()["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def said(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    """Attributes, as a mapping."""
    return {one["key"]: next(iter(one["value"].values())) for one in attributes}


# -- a record ----------------------------------------------------------------------------------------------------------


def test_a_record_as_the_original_writes_it() -> None:
    """Time, severity, body and attributes; and the ids by which a collector finds the trace."""
    record = json.loads(log_record(notice(route="triage", duration_ms=1.5, module="eng"), observed_ns=NOW_NS))

    assert (record["timeUnixNano"], record["observedTimeUnixNano"]) == (AT_NS, str(NOW_NS))
    assert (record["severityNumber"], record["severityText"]) == (17, "ERROR")
    assert json.loads(record["body"]["stringValue"])["phase"] == "deliver.failure"
    assert said(record["attributes"]) == {
        "orgloop.phase": "deliver.failure",
        "orgloop.event_id": "evt_1",
        "orgloop.trace_id": "trc_1",
        "orgloop.route": "triage",
        "orgloop.duration_ms": 1.5,
        "orgloop.module": "eng",
    }
    assert (record["traceId"], record["spanId"]) == (trace_id("trc_1"), root_id("evt_1"))


@pytest.mark.parametrize(
    ("phase", "expected"),
    [("route.no_match", 5), ("source.emit", 9), ("of.a.later.version", 9), ("deliver.retry", 13), ("audit.held", 17)],
)
def test_how_grave_it_is(phase: str, expected: int) -> None:
    """By the numbers of OpenTelemetry."""
    assert json.loads(log_record(notice(phase), observed_ns=NOW_NS))["severityNumber"] == expected


ODD = ["\x00\x1b[2J", "\ud800", "x" * 100_000, "ü" * 5000]
TEXTS = st.text(max_size=40) | st.sampled_from(ODD)
METADATA = st.dictionaries(TEXTS, st.none() | TEXTS | st.floats() | st.integers() | st.just({1, 2}), max_size=3)
NOTICES = st.builds(
    Notice,
    timestamp=st.just(AT) | TEXTS,
    phase=st.sampled_from(sorted(SEVERITY_OF)) | TEXTS,
    event_id=TEXTS,
    trace_id=TEXTS,
    source=st.none() | TEXTS,
    transform=st.none() | TEXTS,
    error=st.none() | TEXTS,
    metadata=st.none() | METADATA,
    duration_ms=st.none() | st.floats(),
    queue_depth=st.none() | st.integers(),
)


@settings(max_examples=60, deadline=None)
@given(NOTICES)
def test_whatever_a_notice_says_is_one_record(one: Notice) -> None:
    """JSON by the book, of a size, with ids of a length; and a span, if it ends one."""
    made_of = [log_record(one, observed_ns=NOW_NS), Hops().span(one, observed_ns=NOW_NS)]

    for written in filter(None, made_of):
        record = json.loads(written.decode("utf-8"), parse_constant=_refuse)
        assert len(written) < 2 * 6 * MAX_BODY_CHARS
        assert len(record.get("traceId", "0" * 32)) == 32
        assert len(record.get("spanId", "0" * 16)) == 16
        assert all(int(text) < 2**64 for text in _times(record))


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def _times(record: dict[str, Any]) -> Iterator[str]:
    return (value for key, value in record.items() if key.endswith("UnixNano"))


# -- spans -------------------------------------------------------------------------------------------------------------


def test_each_hop_is_a_span_below_that_of_its_event() -> None:
    """From its beginning to its end, with what went wrong."""
    hops = Hops()
    story = [
        notice("source.emit"),
        notice("route.match", route="r", target="bot"),
        notice("transform.start", route="r", transform="scan"),
        notice("transform.pass", route="r", transform="scan", timestamp="2026-01-31T09:00:00.300Z"),
        notice("deliver.attempt", route="r", target="bot", timestamp="2026-01-31T09:00:00.300Z"),
        notice("deliver.retry", route="r", target="bot", error="503", timestamp="2026-01-31T09:00:01.300Z"),
    ]

    made_of = [json.loads(span) for one in story if (span := hops.span(one, observed_ns=NOW_NS)) is not None]

    assert [span["name"] for span in made_of] == ["event.pipeline", "route.match", "transform.scan", "deliver.bot"]
    root, *below = made_of
    assert root["spanId"] == root_id("evt_1")
    assert "parentSpanId" not in root
    assert {span["parentSpanId"] for span in below} == {root["spanId"]}
    assert {span["traceId"] for span in made_of} == {trace_id("trc_1")}
    assert len({span["spanId"] for span in made_of}) == 4
    lasted_ms = [(int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"])) / 1e6 for span in made_of]
    assert lasted_ms == [0, 0, 50, 1000]
    assert [span["status"] for span in below] == [{"code": 1}, {"code": 1}, {"code": 2, "message": "503"}]


def test_a_hop_whose_beginning_was_not_heard_lasts_as_long_as_it_says() -> None:
    """Or no time at all; never a negative one."""
    for duration_ms, expected in ((250.0, 250), (None, 0), (-3.0, 0), (math.nan, 0)):
        span = json.loads(Hops().span(notice("deliver.success", duration_ms=duration_ms), observed_ns=NOW_NS) or b"")
        assert (int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"])) / 1e6 == expected


def test_hops_that_never_end_are_forgotten() -> None:
    """The oldest first: there is a bound."""
    hops = Hops()
    for number in range(10_001):
        hops.span(notice("deliver.attempt", event_id=f"evt_{number}", timestamp=AT), observed_ns=NOW_NS)
    late = "2026-01-31T09:00:01.250Z"
    ended = [hops.span(notice("deliver.success", event_id=f"evt_{n}", timestamp=late), observed_ns=0) for n in (0, 1)]

    lasted_s = [
        (int(json.loads(span or b"")["endTimeUnixNano"]) - int(json.loads(span or b"")["startTimeUnixNano"])) / 1e9
        for span in ended
    ]
    assert lasted_s == [0, 1]


async def test_spans_go_to_an_address_of_their_own() -> None:
    """And one that does not take them holds up no record."""
    async with open_outside() as outside:
        outside.at("POST", "/v1/logs", Says(200, {}))
        outside.at("POST", "/v1/traces", Says(404, "no such path"))
        async with otel(outside, export={"traces": True}) as logger:
            await logged(logger, notice("source.emit"))

    assert len(records(outside.heard)) == len(spans(outside.heard)) == 1
    assert logger.lost == 1
    assert "/v1/traces answers 404: no such path" in (logger.last_error or "")


# -- a batch -----------------------------------------------------------------------------------------------------------


async def test_records_are_sent_in_batches_with_who_sends_them() -> None:
    """What waits at the end is sent too."""
    config = {
        "headers": {"Authorization": "Basic c2VjcmV0"},
        "service_name": "org",
        "service_version": "2",
        "resource_attributes": {"deployment.environment": "test", "shard": 3},
        "batch": {"max_export_batch_size": 40, "scheduled_delay_ms": 60_000},
    }
    async with open_outside() as outside:
        outside.says(Says(200, {"partialSuccess": {}}))
        async with otel(outside, **config) as logger:
            await logged(logger, *(notice(route=f"r{number}") for number in range(100)))

    assert [len(records([one])) for one in outside.heard] == [40, 40, 20]
    assert [said(one["attributes"])["orgloop.route"] for one in records(outside.heard)] == [f"r{n}" for n in range(100)]
    (resource,) = outside.heard[0].json()["resourceLogs"]
    assert said(resource["resource"]["attributes"]) == {
        "service.name": "org",
        "service.version": "2",
        "deployment.environment": "test",
        "shard": "3",
    }
    assert resource["scopeLogs"][0]["scope"]["name"] == "orgloop"
    assert outside.heard[0].headers["authorization"] == "Basic c2VjcmV0"
    assert outside.heard[0].headers["content-type"] == "application/json"
    assert logger.lost == 0


async def test_a_batch_does_not_wait_to_be_full() -> None:
    """It goes when its first record has waited for so long."""
    async with open_outside() as outside:
        outside.says(Says(200))
        async with otel(outside, batch={"scheduled_delay_ms": 10}) as logger:
            await logged(logger, notice())
            with trio.fail_after(5):
                await outside.arrived.wait()


@pytest.mark.slow
@pytest.mark.parametrize("status", [429, 503])
async def test_what_passes_is_tried_again(status: int) -> None:
    """The same batch, when the collector says."""
    async with open_outside() as outside:
        outside.says(
            Says(status, headers={"retry-after": "0.1"}), Says(status, headers={"retry-after": "1"}), Says(200)
        )
        async with otel(outside) as logger:
            await logged(logger, notice())
            with trio.fail_after(5):
                while len(outside.heard) < 3:  # noqa: ASYNC110 - the server sets an event for the first only
                    await trio.sleep(0.01)

    assert len({one.body for one in outside.heard}) == 1
    assert logger.lost == 0
    assert f"answers {status}" in (logger.last_error or "")


@pytest.mark.parametrize(
    "answer",
    [Says(400, "bad"), Says(401), Says(403), Says(404), Says(413), Says(500), Says(301, headers={"location": "/x"})],
    ids=lambda answer: str(answer.status),
)
async def test_what_is_refused_is_lost_and_told_of(answer: Says) -> None:
    """Once; and the next record that is taken comes with a word about it."""
    async with open_outside() as outside:
        outside.says(answer, Says(200))
        async with otel(outside) as logger:
            await logged(logger, notice())
            with trio.fail_after(5):
                while logger.lost == 0:  # noqa: ASYNC110 - nothing says so
                    await trio.sleep(0.001)
            await logged(logger, notice("module.active"))

    first, told, second = records(outside.heard)
    assert [json.loads(one["body"]["stringValue"])["phase"] for one in (first, told, second)] == [
        "deliver.failure",
        "system.error",
        "module.active",
    ]
    assert f"1 records to {outside.url}/v1/logs have been lost so far" in told["body"]["stringValue"]
    assert logger.lost == 1


async def test_what_a_collector_leaves_out_is_counted() -> None:
    """It takes a batch, and says how many of it were no good."""
    partial = {"partialSuccess": {"rejectedLogRecords": "2", "errorMessage": "too\nold"}}
    async with open_outside() as outside:
        outside.says(Says(200, partial))
        async with otel(outside, batch={"scheduled_delay_ms": 60_000}) as logger:
            await logged(logger, notice(), notice(), notice())

    assert logger.lost == 2
    assert (logger.last_error or "").endswith("has rejected 2 of 3: too old")


@pytest.mark.parametrize(
    "answer",
    [
        Says(200, "<html>"),
        Says(200, {"partialSuccess": {"rejectedLogRecords": -5}}),
        Says(200, {"partialSuccess": {"rejectedLogRecords": "many"}}),
        Says(200, {"partialSuccess": 3}),
        Says(200, [1]),
        Says(204),
        Says(200, b"\x00\xff", headers={"content-type": "application/x-protobuf"}),
    ],
)
async def test_an_answer_that_nobody_understands_is_a_yes(answer: Says) -> None:
    """The status has said it."""
    async with open_outside() as outside:
        outside.says(answer)
        async with otel(outside) as logger:
            await logged(logger, notice())

    assert (len(outside.heard), logger.lost) == (1, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "answer", [Says(delay_s=math.inf), Says(hangs_up=True), Says(503)], ids=["slow", "gone", "503"]
)
async def test_logging_and_leaving_wait_for_nobody(answer: Says) -> None:
    """More than may wait costs the oldest, and leaving has its time; every record is counted."""
    async with open_outside() as outside:
        outside.says(answer)
        with trio.fail_after(4):
            async with otel(outside, batch={"max_queue_size": 100, "max_export_batch_size": 10}) as logger:
                begun_s = time.monotonic()
                await trio.to_thread.run_sync(_many, logger, 1000)
                assert time.monotonic() - begun_s < 1

    assert logger.lost == 1000


def _many(logger: Otel, count: int) -> None:
    for _ in range(count):
        logger.log(notice())


async def test_a_secret_in_a_header_is_never_told() -> None:
    """Though the collector repeats it."""
    async with open_outside() as outside:
        outside.says(Says(403, "who is s3cr3t-key?"))
        async with otel(outside, headers={"x-api-key": "s3cr3t-key"}) as logger:
            await logged(logger, notice())

    assert "answers 403: who is ***?" in (logger.last_error or "")


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"endpoint": "localhost:4318"}, "^endpoint: must begin with http"),
        ({"traces_endpoint": "grpc://x"}, "^traces_endpoint: must begin with http"),
        ({"endpoint": "http://x/otlp", "export": {"traces": True}}, "^traces_endpoint: endpoint does not end in /logs"),
        ({"export": {"metrics": True}}, r"^export\.metrics: metrics are not sent; let your collector fetch"),
        ({"export": {"logs": False}}, "^export: nothing is to be sent"),
        ({"batch": {"max_queue_size": 0}}, r"^batch\.max_queue_size: 0 holds nothing"),
    ],
)
def test_what_cannot_be_is_refused(config: Any, why: str) -> None:
    """With the key, the value and what to write instead."""
    with pytest.raises(ValueError, match=why):
        made(OFFER, config)


@pytest.mark.parametrize(
    ("endpoint", "traces"),
    [
        ("http://localhost:4318/v1/logs", "http://localhost:4318/v1/traces"),
        ("https://otlp.example.com/otlp/v1/logs/", "https://otlp.example.com/otlp/v1/traces"),
        ("https://x.example.com/logs?k=1", "https://x.example.com/traces?k=1"),
    ],
)
def test_where_spans_go_by_themselves(endpoint: str, traces: str) -> None:
    """Beside the records."""
    assert OtelConfig(endpoint=endpoint).url("traces") == traces


async def test_the_check_sends_nothing_that_anybody_would_see() -> None:
    """An export without a record: who takes that, takes records."""
    async with open_outside() as outside:
        outside.at("POST", "/v1/logs", Says(200))
        outside.at("POST", "/v1/traces", Says(401))
        config = {"endpoint": f"{outside.url}/v1/logs", "export": {"traces": True}}
        logs, traces = await checked(OFFER, config)
    (gone,) = await checked(OFFER, {"endpoint": f"http://127.0.0.1:{unused_port()}/v1/logs"})

    assert [one.json() for one in outside.heard] == [{"resourceLogs": []}, {"resourceSpans": []}]
    assert (logs.ok, traces.ok, gone.ok) == (True, False, False)
    assert "answers 401" in traces.detail
    assert "is a collector there?" in gone.detail
