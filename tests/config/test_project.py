"""The front door: what a project is, what it was read from, and everything that is wrong with it at once."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from orgloop.config.catalogue import AnyCatalogue
from orgloop.config.project import load_project
from orgloop.config.report import report_of
from orgloop.errors import ConfigError
from tests.config.disk import CONNECTORS, PROJECT, ROUTES, examine, lines, load, plant, small
from tests.config.plugins import Plugins

CANARY = "canary-0123456789-abcdefghij"


# -- what it is --------------------------------------------------------------------------------------------------------


def test_a_project_is_found_by_its_folder_and_by_its_file(tmp_path: Path) -> None:
    """The two are the same."""
    folder = small(tmp_path)

    assert load(folder) == load(folder / "orgloop.yaml")
    assert load(folder).directory == folder


def test_a_project_without_a_name_is_called_by_its_place(tmp_path: Path) -> None:
    """The same place is the same name, another place another one."""
    names = {
        load(plant(tmp_path / place, {"orgloop.yaml": "kind: Project\n"})).name
        for place in ("a", "b")
        for _ in range(2)
    }

    assert len(names) == 2
    assert all(name.startswith("module-") for name in names)


def test_everything_that_was_read_is_listed(tmp_path: Path) -> None:
    """Prompts and .env too: whoever watches for changes must know them."""
    routes = ROUTES + "    with: {prompt_file: ../p.md}\n"
    folder = plant(small(tmp_path, routes__r_yaml=routes), {"p.md": "Do it.", ".env": "TOKEN=abcdef\n"})

    assert {str(file.relative_to(folder)) for file in load(folder).files} == {
        *("orgloop.yaml", "connectors.yaml", "routes/r.yaml", "p.md", ".env")
    }


def test_the_digest_tells_whether_anything_changed(tmp_path: Path) -> None:
    """By content: a prompt counts, a date does not."""
    folder = plant(small(tmp_path, routes__r_yaml=ROUTES + "    with: {prompt_file: ../p.md}\n"), {"p.md": "Do it."})
    before = load(folder).digest
    os.utime(folder / "p.md", (1, 1))
    touched = load(folder).digest
    (folder / "p.md").write_text("Do it now.")

    assert touched == before
    assert load(folder).digest != before


def test_options_that_are_paths_are_absolute(tmp_path: Path) -> None:
    """From the project's folder, with ``~`` for the home of whose variables these are."""
    with_cache = CONNECTORS.replace("repo: a/b", "repo: a/b, cache_dir: cache")
    relative = load(small(tmp_path / "r", connectors_yaml=with_cache))
    at_home = with_cache.replace("cache_dir: ", "cache_dir: ~/")
    of_home = load(small(tmp_path / "h", connectors_yaml=at_home), environ={"HOME": "/home/me"})

    assert relative.config.sources[0].config["cache_dir"] == str(tmp_path / "r/cache")
    assert of_home.config.sources[0].config["cache_dir"] == "/home/me/cache"


def test_a_connector_that_is_a_file_is_absolute(tmp_path: Path) -> None:
    """And not imported: its name is all that the catalogue is asked for."""
    connectors = CONNECTORS.replace("connector: github", "connector: ./own.py")
    folder = plant(small(tmp_path, connectors_yaml=connectors), {"own.py": "raise SystemExit('imported')"})

    assert load(folder).config.sources[0].connector == str(folder / "own.py")


def test_definitions_may_be_anywhere(tmp_path: Path) -> None:
    """One file for everything, named under one key, named under two."""
    everything = CONNECTORS.replace("kind: ConnectorGroup\n", "") + ROUTES.replace("kind: RouteGroup\n", "")
    folder = plant(tmp_path, {"orgloop.yaml": PROJECT + "loggers: [connectors.yaml]\n", "connectors.yaml": everything})

    config = load(folder).config

    assert (len(config.sources), len(config.actors), len(config.routes)) == (1, 1, 1)


# -- faults ------------------------------------------------------------------------------------------------------------


def test_three_faults_in_three_files_are_three_faults(tmp_path: Path) -> None:
    """Each at its place, in the order of the files."""
    folder = small(
        tmp_path,
        orgloop_yaml=PROJECT + "defaults: {log_level: loud}\n",
        connectors_yaml=CONNECTORS.replace("repo: a/b", "repo: 5"),
        routes__r_yaml=ROUTES.replace("actor: agent", "actor: agnet"),
    )

    faults = examine(folder).faults

    assert lines(faults) == ["orgloop.yaml:5 OL1208", "connectors.yaml:5 OL1201", "r.yaml:5 OL1303"]
    assert [str(fault.place).rpartition(":")[2] for fault in faults] == ["23", "20", "19"]


def test_a_file_that_cannot_be_read_makes_no_other_faults(tmp_path: Path) -> None:
    """What it would have defined is not said to be nowhere; what else is wrong is."""
    folder = small(
        tmp_path,
        connectors_yaml="sources: [\n",
        routes__r_yaml=ROUTES.replace("[resource.changed]", "[push]"),
    )

    assert lines(examine(folder).faults) == ["connectors.yaml:2 OL1101", "r.yaml:4 OL1208"]


def test_a_variable_that_is_not_set_makes_no_other_faults(tmp_path: Path) -> None:
    """Nothing can be said of a duration that is not known, but of its neighbour."""
    connectors = CONNECTORS.replace("actors:", '    poll: {interval: "${EVERY}", intervall: 5m}\nactors:')
    folder = small(tmp_path, connectors_yaml=connectors)

    assert lines(examine(folder).faults) == ["connectors.yaml:6 OL1203"]
    assert lines(examine(folder).warnings) == ["connectors.yaml:6 OL1401"]


def test_a_fault_of_what_is_laid_over_is_in_the_upper_file(tmp_path: Path) -> None:
    """And of what only the lower one says, in the lower one."""
    folder = small(
        tmp_path,
        connectors_yaml=CONNECTORS.replace("actors:", "    poll: {interval: 5 m}\nactors:"),
        workspaces__prod_yaml="sources:\n  - id: github\n    config:\n      repos: a/c\n",
    )

    faults = examine(folder, workspace="prod").faults

    assert lines(faults) == ["connectors.yaml:6 OL1205", "prod.yaml:4 OL1203"]


def test_many_faults_are_cut_off_and_counted(tmp_path: Path) -> None:
    """A person reads the first few; nothing is left out in silence."""
    wrong = "".join(f"  - {{id: s{n}, connector: nowhere}}\n" for n in range(500))
    folder = plant(tmp_path, {"orgloop.yaml": f"kind: Project\nsources:\n{wrong}"})

    with pytest.raises(ConfigError, match=r"… and 300 more$"):
        load(folder)


# -- variables and secrets ---------------------------------------------------------------------------------------------


def test_what_stands_in_a_variable_may_be_a_number(tmp_path: Path) -> None:
    """A variable holds text only; ``8080`` in it is a number where one is wanted, and text where text is."""
    connectors = CONNECTORS.replace("repo: a/b", 'repo: "${N}", per_page: "${N}"').replace(
        "url:", 'verbose: "${SWITCH}", url:'
    )

    config = load(small(tmp_path, connectors_yaml=connectors), environ={"N": "25", "SWITCH": "true"}).config

    assert config.sources[0].config == {"repo": "25", "per_page": "25", "token": ""}
    assert type(config.sources[0].config["repo"]) is str


def test_variables_are_listed_with_where_they_come_from(tmp_path: Path) -> None:
    """And never with their values."""
    folder = plant(small(tmp_path), {".env": f"TOKEN={CANARY}\n"})

    (variable,) = load(folder).environment

    assert (variable.name, variable.origin, variable.is_set) == ("TOKEN", ".env", True)
    assert [Path(place.file).name for place in variable.places] == ["connectors.yaml"]
    assert CANARY not in repr(variable)


def test_secrets_are_known_and_shown_nowhere(tmp_path: Path) -> None:
    """From variables, and written literally in a field that is secret; in no fault, warning, report or repr."""
    connectors = CONNECTORS.replace("repo: a/b", 'repo: "${REPO}", per_page: "${REPO}", events: ["${REPO}", 5]')
    connectors += f"      \n  - {{id: second, connector: webhook, config: {{secret: {CANARY}-2, path: {CANARY}-2}}}}\n"
    folder = small(tmp_path, connectors_yaml=connectors)

    examined = examine(folder, environ={"TOKEN": CANARY, "REPO": f"{CANARY}-3"})
    told = [*examined.faults, *examined.warnings]
    shown = "\n".join([repr(told), *map(report_of, told), repr(examined.checked), repr(examined.environment)])

    assert {fault.code for fault in told} == {"OL1201", "OL1404"}
    assert CANARY not in shown
    assert examined.masker.text(f"{CANARY} {CANARY}-2 {CANARY}-3") == "*** *** ***"


def test_secrets_of_a_project_that_loads(tmp_path: Path) -> None:
    """For whoever writes logs; not in the repr of the project."""
    folder = small(tmp_path, orgloop_yaml=PROJECT + f'bus: "nats://me:{CANARY}-bus@host"\n')

    project = load(folder, environ={"TOKEN": CANARY})

    assert project.secrets == {CANARY, f"{CANARY}-bus"}


def test_a_lone_home_is_no_secret(tmp_path: Path) -> None:
    """Or no path could be shown any more."""
    connectors = CONNECTORS.replace("a/b", '"${HOME}/x"')

    assert not load(small(tmp_path, connectors_yaml=connectors), environ={"HOME": "/home/me"}).secrets


def test_a_module_keeps_out_of_the_process_environment(tmp_path: Path) -> None:
    """Its variables are an argument: nothing is read from the process, and nothing written to it."""
    folder = plant(small(tmp_path), {".env": "NOBODY_HAS_THIS=x\n"})
    before = dict(os.environ)

    load(folder)

    assert dict(os.environ) == before
    assert lines(examine(small(tmp_path / "p", connectors_yaml=CONNECTORS.replace(":-}", "}"))).warnings) == [
        "connectors.yaml:5 OL1401"
    ]


def test_loading_opens_no_socket_and_starts_no_program(tmp_path: Path) -> None:
    """Told by the interpreter itself."""
    seen: list[str] = []
    is_over = False

    def watch(event: str, args: tuple[object, ...]) -> None:
        if not is_over and event.startswith(("socket.", "subprocess.", "os.exec", "os.fork", "os.system", "os.spawn")):
            seen.append(event)

    sys.addaudithook(watch)
    load(small(tmp_path))
    is_over = True

    assert seen == []


# -- defaults of the user ----------------------------------------------------------------------------------------------


def test_the_users_defaults_lie_below_the_projects(tmp_path: Path) -> None:
    """Key by key; of the user's file nothing else counts."""
    home = plant(tmp_path / "home", {"config.yaml": "defaults: {poll_interval: 1h, log_level: debug}\nother: 1\n"})
    folder = small(tmp_path / "p", orgloop_yaml=PROJECT + "defaults: {log_level: warn}\n")

    defaults = load(folder, home=home).config.defaults

    assert (defaults.poll_interval_s, defaults.log_level) == (3600, "warn")


@pytest.mark.parametrize(
    "text", ["defaults: [\n", "- a\n", "defaults: 5\n", "defaults: {poll_interval: soon}\n", "defaults: {pol: 5m}\n"]
)
def test_what_is_wrong_in_the_users_defaults_is_a_warning(tmp_path: Path, text: str) -> None:
    """A project does not fail by a file that is not its own."""
    home = plant(tmp_path / "home", {"config.yaml": text})

    project = load(small(tmp_path / "p"), home=home)

    assert lines(project.warnings) == ["config.yaml:2 OL1905" if text.endswith("[\n") else "config.yaml:1 OL1905"]
    assert project.config.defaults.poll_interval_s == 300


# -- modules -----------------------------------------------------------------------------------------------------------


def test_an_installed_module_is_found_by_the_catalogue(tmp_path: Path) -> None:
    """By the name of its package, the original's scoped ones included."""
    module = plant(
        tmp_path / "m", {"orgloop.yaml": "apiVersion: orgloop/v1alpha1\nkind: Project\nmetadata: {name: m}\n"}
    )
    folder = small(tmp_path / "p", orgloop_yaml=PROJECT + 'modules: [{package: "@acme/m"}]\n')

    project = load(folder, catalogue=Plugins(modules={"@acme/m": str(module)}))

    assert [inner.name for inner in project.modules] == ["m"]


def test_faults_of_modules_are_faults_of_the_whole(tmp_path: Path) -> None:
    """One start, one list."""
    plant(tmp_path / "m", {"orgloop.yaml": "apiVersion: v\nkind: Project\nmetadata: {name: m}\nexport: []\n"})
    folder = small(tmp_path, orgloop_yaml=PROJECT + "modules: [{package: ./m}]\n")

    assert lines(examine(folder).faults) == ["orgloop.yaml:4 OL1203"]


# -- for those who only want the values --------------------------------------------------------------------------------


def test_any_catalogue_takes_everything(tmp_path: Path) -> None:
    """Names and options are as they were written."""
    connectors = CONNECTORS.replace("connector: github", "connector: nobody-has-it")

    project = load_project(small(tmp_path, connectors_yaml=connectors), environ={}, catalogue=AnyCatalogue())

    assert project.config.sources[0].connector == "nobody-has-it"


def test_what_was_checked_is_told_in_order(tmp_path: Path) -> None:
    """Project, groups, definitions; what is broken is named so."""
    folder = small(tmp_path, routes__r_yaml=ROUTES.replace("actor: agent", "actor: z"))

    rows = [(row.label.removeprefix(f"{folder}/"), row.description) for row in examine(folder).checked]

    assert rows == [
        ("orgloop.yaml", "valid project manifest"),
        ("connectors.yaml", "valid connector group"),
        ("routes/r.yaml", "invalid route group"),
        ("connectors.yaml#github", "valid source definition"),
        ("connectors.yaml#agent", "valid actor definition"),
        ("routes/r.yaml#triage", "invalid route definition"),
    ]


@pytest.mark.parametrize("path", ["a\0b", "x" * 5_000, "/dev/null", "/dev/null/x", "", "nowhere/orgloop.yaml"])
def test_a_path_that_leads_to_no_project_is_refused(tmp_path: Path, path: str) -> None:
    """Whatever it is: a fault, and no traceback."""
    (fault,) = examine(tmp_path / path).faults

    assert fault.code in ("OL1001", "OL1002", "OL1005")


def test_a_missing_project_says_how_to_make_one(tmp_path: Path) -> None:
    """In the words of the original."""
    (fault,) = examine(tmp_path).faults

    assert fault.text == f"Configuration file not found: {tmp_path / 'orgloop.yaml'}"
    assert fault.fix == "Run `orgloop init` to create a new project, or use --config to specify a path."


def test_what_is_wrong_in_the_users_defaults_is_told_once(tmp_path: Path) -> None:
    """However many modules there are."""
    home = plant(tmp_path / "home", {"config.yaml": "defaults: 5\n"})
    plant(tmp_path / "m", {"orgloop.yaml": "apiVersion: orgloop/v1alpha1\nkind: Project\nmetadata: {name: m}\n"})
    folder = small(tmp_path, orgloop_yaml=PROJECT + "modules: [{package: ./m}]\n")

    assert lines(examine(folder, home=home).warnings) == ["config.yaml:1 OL1905"]


def test_links_within_the_project_are_followed(tmp_path: Path) -> None:
    """As those that Kubernetes mounts a configuration with."""
    folder = small(tmp_path / "p" / "..data")
    for name in ("orgloop.yaml", "connectors.yaml", "routes"):
        (tmp_path / "p" / name).symlink_to(folder / name)

    assert len(load(tmp_path / "p").config.routes) == 1


def test_what_is_written_to_lie_elsewhere_is_taken(tmp_path: Path) -> None:
    """The operator can see it."""
    plant(tmp_path, {"shared.yaml": CONNECTORS})
    folder = small(tmp_path / "p", orgloop_yaml=PROJECT.replace("connectors.yaml", "../shared.yaml"))

    assert len(load(folder).config.sources) == 1


def test_a_default_helps_only_where_it_stands(tmp_path: Path) -> None:
    """Of two references to a variable that is not set, the one without a default is told of."""
    connectors = CONNECTORS.replace("${TOKEN:-}", "${TOKEN:-none}").replace("url:", 'secret: "${TOKEN}", url:')

    assert lines(examine(small(tmp_path, connectors_yaml=connectors)).warnings) == ["connectors.yaml:9 OL1401"]


def test_a_variable_in_a_parameter_is_looked_up_after_the_template(tmp_path: Path) -> None:
    """So no line of a template ever holds what is secret."""
    manifest = "apiVersion: v\nkind: Module\nmetadata: {name: m}\nparameters: [{name: key}]\n"
    template = (
        "routes:\n  - name: x\n    when: {source: github, events: [resource.changed]}\n"
        '    then: {actor: agent, config: {key: "{{ params.key }}", wrong}}\n    wrong: "{{ params.key }}"\n'
    )
    folder = plant(
        small(tmp_path, orgloop_yaml=PROJECT + 'modules: [{package: ./m, params: {key: "${KEY}"}}]\n'),
        {"m/orgloop-module.yaml": manifest, "m/templates/routes.yaml": template},
    )

    examined = examine(folder, environ={"KEY": CANARY})

    assert lines(examined.faults) == ["routes.yaml:5 OL1203"]
    assert CANARY not in repr(examined.faults)
