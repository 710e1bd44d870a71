"""``orgloop doctor``: what it finds, within what time, and what it leaves alone."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from orgloop.cli.diagnosis import ALL_S, CHECK_S, Probe, probe_all, probes_of
from orgloop.config.project import examine_project
from orgloop.runtime.installed import Installed
from orgloop.runtime.plugins import Plugins
from tests.cli.terminal import PROJECT, Shell, shell, shop

__all__ = ["shell", "shop"]

NEEDS = PROJECT.replace("${DOOR_SECRET:-nothing-secret}", "${DOOR_SECRET}")


def statuses(shell: Shell) -> dict[tuple[str, str], str]:
    found = shell.run("--json", "doctor").document
    return {(check["category"], check["name"]): check["status"] for check in found["checks"]}


def test_a_sound_project_passes(shop: Shell) -> None:
    """Every section, and exit code 0."""
    shop.write("orgloop.yaml", NEEDS)
    shop.environ["DOOR_SECRET"] = "open-sesame"
    ended = shop.run("doctor")

    assert ended.code == 0
    assert ended.out.startswith("OrgLoop Doctor — shop\n")
    assert "  ✓ DOOR_SECRET — it is there (ada, scopes: read)" in ended.out
    assert "  ✓ deploys: bell — rings" in ended.out
    assert ended.out.endswith("All checks passed.\n")


def test_a_missing_credential_degrades(shop: Shell) -> None:
    """Exit code 1, with where to get it; what needs it is not asked."""
    shop.write("orgloop.yaml", NEEDS)
    ended = shop.run("doctor")

    assert ended.code == 1
    assert "✗ DOOR_SECRET — not set\n      → what opens it\n      → https://example.org/door" in ended.out
    assert "deploys — not looked at: a variable of its configuration is not set" in ended.out
    assert "1 credential missing, 1 warning.\nSystem will run in degraded mode." in ended.out


def test_a_credential_that_is_refused_is_an_error(shop: Shell) -> None:
    """Exit code 2; what the check says of it is told without the secret itself."""
    shop.write("orgloop.yaml", NEEDS.replace("config: {secret", "config: {checked: refused, secret"))
    shop.environ["DOOR_SECRET"] = "open-sesame"
    ended = shop.run("doctor")

    assert ended.code == 2
    assert "✗ DOOR_SECRET — refused *** (ada, scopes: read)" in ended.out
    assert "open-sesame" not in ended.out
    assert "1 error.\nFix errors above, then re-run `orgloop doctor`." in ended.out


def test_a_check_that_raises_says_nothing_against_the_others(shop: Shell) -> None:
    """It is a warning of its own."""
    shop.write("orgloop.yaml", PROJECT.replace("config: {secret", "config: {checked: raises, secret"))

    assert statuses(shop)["service", "deploys"] == "warning"


def test_faults_are_errors_by_their_kind(shop: Shell) -> None:
    """A plug-in that is not there is a dependency; everything else is configuration."""
    broken = PROJECT.replace("type: filter", "type: filtre").replace("then: {actor: clerk, d", "then: {actor: clark, d")
    shop.write("orgloop.yaml", broken)
    ended = shop.run("--json", "doctor")
    errors = [check for check in ended.document["checks"] if check["status"] == "error"]

    assert (ended.code, ended.document["status"]) == (2, "error")
    assert [(check["category"], "OL1501" in check["detail"]) for check in errors] == [
        ("dependency", True),
        ("config", False),
    ]


def test_warnings_of_the_graph_degrade(shop: Shell) -> None:
    """As the original has it."""
    shop.write("orgloop.yaml", PROJECT.partition("routes:")[0])

    assert statuses(shop)["route-graph", "deploys"] == "warning"
    assert shop.run("doctor").code == 1


def test_it_wakes_no_agent(shop: Shell) -> None:
    """Nothing is delivered, and no file is written."""
    before = sorted(path.name for path in shop.folder.iterdir() if path.name != "__pycache__")
    shop.run("doctor")

    assert sorted(path.name for path in shop.folder.iterdir() if path.name != "__pycache__") == before


def probes(shell: Shell) -> list[Probe]:
    plugins = Plugins()
    examined = examine_project(shell.folder, environ={}, catalogue=Installed(plugins))
    assert examined.project is not None
    return list(probes_of(examined.project, plugins))


async def test_a_check_that_does_not_answer_is_not_waited_for(shop: Shell, autojump_clock: MockClock) -> None:
    """Each has ten seconds."""
    shop.write("orgloop.yaml", PROJECT.replace("config: {secret", "config: {checked: hangs, secret"))

    [(id_, checked)] = await probe_all(probes(shop))

    assert (id_, checked.ok, checked.detail) == ("deploys", False, "no answer within 10 s")
    assert trio.current_time() == CHECK_S


async def test_all_checks_together_have_an_end(shop: Shell, autojump_clock: MockClock) -> None:
    """Sixteen at a time, thirty seconds in all: what was not come to is said."""
    source = "  - {{id: door-{0}, connector: ./door.py, config: {{checked: hangs}}}}\n"
    sources = "".join(source.format(number) for number in range(64))
    shop.write("orgloop.yaml", PROJECT.replace("actors:\n", f"{sources}actors:\n", 1))

    found = await probe_all(probes(shop))

    assert trio.current_time() == ALL_S
    assert len({id_ for id_, _ in found}) == 65
    assert {checked.detail for _, checked in found} >= {
        "no answer within 10 s",
        "not looked at: all checks together may take 30 s",
    }
