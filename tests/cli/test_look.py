"""Commands that only look at a project: validate, env, routes, inspect."""

from __future__ import annotations

import pytest

from orgloop.cli import inspect, validate
from tests.cli.terminal import PROJECT, Shell, shell, shop

__all__ = ["shell", "shop"]

BROKEN = PROJECT.replace("then: {actor: clerk, delivery", "then: {actor: clark, delivery").replace(
    "emits: [resource.changed]", "emitz: [resource.changed]"
)


# -- validate ----------------------------------------------------------------------------------------------------------


def test_a_sound_project_has_a_row_for_each_definition(shop: Shell) -> None:
    """In the order of the original, with the sum at the end."""
    ended = shop.run("validate")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "",
        "✓ orgloop.yaml — valid project manifest",
        "✓ orgloop.yaml#deploys — valid source definition",
        "✓ orgloop.yaml#clerk — valid actor definition",
        "✓ orgloop.yaml#only-ok — valid transform definition",
        "✓ orgloop.yaml#checkout — valid route definition",
        "✓ orgloop.yaml#cart — valid route definition",
        "",
        "0 errors, 0 warnings ✓",
    ]


def test_every_fault_stands_at_its_definition(shop: Shell) -> None:
    """All of them at once, with line, caret and what to do; exit code 2."""
    shop.write("orgloop.yaml", BROKEN)
    ended = shop.run("validate")

    assert ended.code == 2
    assert "✗ orgloop.yaml#deploys — invalid source definition\n    orgloop.yaml:8:5: OL1203" in ended.err
    assert (
        '✗ orgloop.yaml#cart — invalid route definition\n    orgloop.yaml:24:19: OL1303 Actor "clark" not found'
        in ended.err
    )
    assert "^^^^^" in ended.err
    assert "2 errors, " in ended.err
    assert "valid actor definition" in ended.out


def test_faults_for_programs(shop: Shell) -> None:
    """The original's results, and beside them each fault with its code and place."""
    shop.write("orgloop.yaml", BROKEN)
    ended = shop.run("--json", "validate")
    found = ended.document

    assert (ended.code, found["errors"], ended.err) == (2, 2, "")
    assert {row["description"]: row["errors"] for row in found["results"] if not row["valid"] and row["errors"]} == {
        "invalid source definition": [found["faults"][0]["text"]],
        "invalid route definition": [found["faults"][1]["text"]],
    }
    assert [(fault["code"], fault["line"]) for fault in found["faults"]] == [("OL1203", 8), ("OL1303", 24)]


def test_warnings_do_not_fail(shop: Shell) -> None:
    """The original's kinds, and variables that are not set."""
    shop.write(
        "orgloop.yaml",
        PROJECT.replace("${DOOR_SECRET:-nothing-secret}", "${DOOR_SECRET}")
        .split("  - name: cart")[0]
        .replace("source: deploys, events: [resource.changed]", "source: deploys, events: [actor.stopped]"),
    )
    ended = shop.run("--json", "validate")
    found = ended.document

    assert (ended.code, found["errors"]) == (0, 0)
    assert [warning["kind"] for warning in found["graphWarnings"]] == ["event-type-mismatch"]
    assert [warning["name"] for warning in found["envWarnings"]] == ["DOOR_SECRET"]


def test_a_file_that_is_no_yaml_is_one_fault(shop: Shell) -> None:
    """Nothing else can be said."""
    shop.write("orgloop.yaml", "a: [1")
    ended = shop.run("validate")

    assert ended.code == 2
    assert "OL1101" in ended.err


def test_a_missing_file_is_not_passed_over(shop: Shell) -> None:
    """The original went on without it."""
    shop.write("orgloop.yaml", PROJECT + "loggers: [loggers/nope.yaml]\n")
    ended = shop.run("validate")

    assert ended.code == 2
    assert "OL1001" in ended.err


def test_a_project_is_named_by_folder_or_file(shop: Shell) -> None:
    """From anywhere."""
    for path in (shop.folder, shop.folder / "orgloop.yaml"):
        assert Shell(shop.folder.parent, shop.environ).run("validate", "-c", str(path)).code == 0


def test_many_rows_that_are_well_are_counted(shop: Shell) -> None:
    """Ten thousand routes are not ten thousand lines; -v shows them."""
    route = "  - {{name: r{0}, when: {{source: deploys, events: [resource.changed]}}, then: {{actor: clerk}}}}\n"
    shop.write("orgloop.yaml", PROJECT + "".join(map(route.format, range(validate.MAX_ROWS))))

    assert "  … and 6 more that are well; -v shows them" in shop.run("validate").out
    assert f"#r{validate.MAX_ROWS - 1} — valid route definition" in shop.run("validate", "-v").out


def test_validate_shows_no_secret(shop: Shell) -> None:
    """A line with one in it is shown without."""
    shop.write("orgloop.yaml", BROKEN.replace("${DOOR_SECRET:-nothing-secret}", "s3cr3t-of-the-door"))
    ended = shop.run("validate")

    assert "s3cr3t-of-the-door" not in ended.out + ended.err


# -- env ---------------------------------------------------------------------------------------------------------------

NEEDS = PROJECT.replace("${DOOR_SECRET:-nothing-secret}", "${DOOR_SECRET}")


def test_a_missing_variable_is_shown_with_where_to_get_it(shop: Shell) -> None:
    """What the plug-in says of it; env alone does not fail."""
    shop.write("orgloop.yaml", NEEDS)
    ended = shop.run("env")

    assert ended.code == 0
    assert ended.out.splitlines() == [
        "✗ DOOR_SECRET  orgloop.yaml",
        "    → what opens it",
        "    → https://example.org/door",
        "",
        "0 of 1 variables set. 1 missing.",
    ]


@pytest.mark.parametrize(("variables", "code"), [({}, 1), ({"DOOR_SECRET": "open-sesame"}, 0)])
def test_env_check_fails_if_one_is_missing(shop: Shell, variables: dict[str, str], code: int) -> None:
    """For scripts."""
    shop.write("orgloop.yaml", NEEDS)
    shop.environ.update(variables)

    assert shop.run("env", "check").code == code


def test_the_value_of_a_variable_is_never_shown(shop: Shell) -> None:
    """Only that it is set, and by whom."""
    shop.write("orgloop.yaml", NEEDS)
    shop.write(".env", "DOOR_SECRET=open-sesame\n")
    human, program = shop.run("env"), shop.run("--json", "env")

    assert "open-sesame" not in human.out + program.out
    assert program.document["variables"]["DOOR_SECRET"] == {
        "set": True,
        "source": str(shop.folder / "orgloop.yaml"),
        "origin": ".env",
        "description": "what opens it",
        "help_url": "https://example.org/door",
    }


def test_no_variable_at_all(shop: Shell) -> None:
    """Said so."""
    shop.write("orgloop.yaml", PROJECT.replace("${DOOR_SECRET:-nothing-secret}", ""))

    assert shop.run("env").out == "No environment variables found in configuration.\n"


def test_env_of_a_broken_project_says_that_it_is(shop: Shell) -> None:
    """What could be read is shown, and that it may not be all."""
    shop.write("orgloop.yaml", BROKEN)
    ended = shop.run("env")

    assert "DOOR_SECRET" in ended.out
    assert "the project has 2 faults" in ended.err


# -- routes ------------------------------------------------------------------------------------------------------------


def test_routes_are_drawn(shop: Shell) -> None:
    """With filters and transforms below."""
    assert shop.run("routes").out.splitlines() == [
        "deploys ──▶ checkout ──▶ clerk",
        "    ├─ filter: payload.service = checkout",
        "    └─ transform: only-ok",
        "deploys ──▶ cart ──▶ clerk",
        "    └─ filter: payload.service = cart",
        "",
        "2 routes, 0 warnings",
    ]


def test_routes_for_programs(shop: Shell) -> None:
    """The original's shape."""
    found = shop.run("--json", "routes").document

    assert (found["project"], found["sources"], found["actors"], found["transforms"]) == (
        "shop",
        ["deploys"],
        ["clerk"],
        ["only-ok"],
    )
    assert found["edges"][0] == {
        "route": "checkout",
        "source": "deploys",
        "actor": "clerk",
        "events": ["resource.changed"],
        "filter": {"payload.service": "checkout"},
        "transforms": ["only-ok"],
    }
    assert found["warnings"] == []


def test_what_leads_nowhere_is_marked(shop: Shell) -> None:
    """A source without a route, an actor that none leads to, a transform that none uses."""
    shop.write("orgloop.yaml", PROJECT.partition("routes:")[0])
    human, program = shop.run("routes"), shop.run("--json", "routes")

    assert "deploys ──▶ (no routes)  ⚠ unrouted source" in human.out
    assert "⚠ clerk — unreachable actor (no routes target this actor)" in human.out
    assert [warning["kind"] for warning in program.document["warnings"]] == [
        "unrouted-source",
        "unreachable-actor",
        "orphan-transform",
    ]


def test_an_empty_project_has_no_routes(shell: Shell) -> None:
    """Said so."""
    shell.write("orgloop.yaml", "kind: Project\nmetadata: {name: empty}\n")

    assert shell.run("routes").out == "No routes defined.\n"


def test_routes_of_a_broken_project_are_its_faults(shop: Shell) -> None:
    """Exit code 1, and where to read more."""
    shop.write("orgloop.yaml", BROKEN)
    ended = shop.run("routes")

    assert ended.code == 1
    assert "OL1303" in ended.err
    assert "next: orgloop validate" in ended.err


# -- inspect -----------------------------------------------------------------------------------------------------------


def test_a_source_is_shown_without_its_secret(shop: Shell) -> None:
    """The original printed it."""
    shop.environ["DOOR_SECRET"] = "open-sesame"
    human, program = shop.run("inspect", "source", "deploys"), shop.run("--json", "inspect", "source", "deploys")

    assert "open-sesame" not in human.out + program.out
    assert human.out.splitlines() == [
        "Name:      deploys",
        "Type:      source",
        "Connector: door.py",
        "Config:    secret: ***",
        "Emits:     resource.changed",
        "Routes:    deploys -> [only-ok] -> clerk",
        "           deploys -> clerk",
    ]
    assert program.document["config"] == {"secret": "***"}
    assert program.document["routes"] == ["checkout", "cart"]


@pytest.mark.parametrize(
    ("kind", "name", "lines"),
    [
        ("actor", "clerk", ["Connector: door.py"]),
        ("route", "checkout", ["Source: deploys -> [only-ok] -> clerk", "Filter: payload.service: checkout"]),
        ("transform", "only-ok", ["Type:     package", "Package:  filter"]),
    ],
)
def test_each_kind_has_its_own_lines(shop: Shell, kind: str, name: str, lines: list[str]) -> None:
    """Those that the original had."""
    ended = shop.run("inspect", kind, name)

    assert ended.code == 0
    for line in lines:
        assert line in ended.out


@pytest.mark.parametrize("kind", inspect.SECTIONS)
def test_what_is_not_there_is_said(shop: Shell, kind: str) -> None:
    """Exit code 1, with the nearest name or those that there are."""
    ended = shop.run("inspect", kind, "nope")

    assert ended.code == 1
    assert f'There is no {kind} "nope"' in ended.err


def test_a_slip_gets_the_nearest_name(shop: Shell) -> None:
    """As a command to type."""
    assert "next: orgloop inspect source deploys" in shop.run("inspect", "source", "deploy").err
