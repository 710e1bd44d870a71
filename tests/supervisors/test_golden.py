"""Conformance: scripts that real Erlang/OTP has played are replayed, and every answer, state and order is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.supervisors.golden import read_traces, replay

LOCAL = Path(__file__).parent / "data" / "otp-traces.jsonl"
SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "otp-golden" / "traces.jsonl"


@pytest.mark.parametrize("case", list(read_traces(LOCAL)), ids=lambda case: f"case {case['case']}")
def test_a_script_goes_as_it_went_in_otp(case: dict[str, Any]) -> None:
    """No step differs: (what OTP did, what ours did)."""
    assert replay(case) == []


@pytest.mark.skipif(not SHARED.exists(), reason=f"the whole collection is not there: {SHARED}")
def test_all_recorded_scripts_go_as_they_went_in_otp() -> None:
    """Four hundred replayed, none differs."""
    differing = {case["case"]: replay(case) for case in read_traces(SHARED)}

    assert len(differing) == 400
    assert {number: steps for number, steps in differing.items() if steps} == {}
