"""No file holds up a start: the worst that fits into one is refused, and told of, in about a second."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.config.corpus import HEAD, PARTS, WHEN
from tests.config.disk import examine, plant

MANY = 9_990
OF_A_SOURCE = "sources:\n  - id: s\n    connector: github\n"
ROUTE = "  - {{name: r{n}, when: {{source: {source}, events: [resource.changed]}}, then: {{actor: {actor}}}{more}}}\n"


def many(line: str, **given: str) -> str:
    return "".join(line.format(n=n, **given) for n in range(MANY))


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        OF_A_SOURCE + many("    k{n}: 1\n"),
        OF_A_SOURCE + "    config:\n" + many("      k{n}: 1\n"),
        OF_A_SOURCE + "    config:\n      events:\n" + many("        - ${{A{n}}}\n"),
        OF_A_SOURCE + "    config: {token: '" + "${A}" * 250_000 + "'}\n",
        OF_A_SOURCE + "    config: {token: '" + "${" * 500_000 + "'}\n",
        "sources:\n" + many("  - {{id: s{n}, connector: c{n}}}\n"),
        "sources:\n" + many("  - {{id: s, connector: webhook}}\n"),
        "sources:\n  - {id: " + "a" * 1_000_000 + ", connector: x}\n",
        "sources:\n  - {id: s, connector: " + "github" * 170_000 + "}\n",
        "defaults: {poll_interval: " + "9" * 1_000_000 + "x}\n",
        "defaults: {poll_interval: '" + "9m " * 330_000 + "'}\n",
        "connectors:\n" + many("  - t{n}\n"),
        "modules:\n" + many("  - {{package: t{n}}}\n"),
        "exports:\n" + many("  - t{n}\n"),
        PARTS + "routes:\n" + many("  - {{}}\n"),
        PARTS + "routes:\n" + many(ROUTE, source="z{n}", actor="b", more=""),
        PARTS + "routes:\n" + many(ROUTE, source="s", actor="a", more=", with: {{prompt_file: p}}"),
        PARTS
        + f"routes:\n  - name: r\n    when: {WHEN}\n    then: {{actor: a}}\n    transforms:\n"
        + many("      - t{n}\n"),
    ],
)
def test_the_worst_is_told_in_about_a_second(tmp_path: Path, text: str) -> None:
    """Of processor time; twice that is allowed here, for the machine may be busy."""
    folder = plant(tmp_path, {"orgloop.yaml": HEAD + text})

    began_s = time.process_time()
    examined = examine(folder)

    assert time.process_time() - began_s < 2.0
    assert examined.faults or examined.warnings
    assert len(examined.faults) <= 200
