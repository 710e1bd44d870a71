"""
Bad configurations, one fault each: the files, and the code and the line that the refusal must name.

A case is written with the builder of the part that it breaks, so that the line numbers can be told: every file begins
with the three lines of ``HEAD``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

HEAD = "apiVersion: orgloop/v1alpha1\nkind: Project\nmetadata: {name: t}\n"
PARTS = "sources: [{id: s, connector: webhook}]\nactors: [{id: a, connector: webhook}]\n"
WHEN = "{source: s, events: [resource.changed]}"
GROUP = "apiVersion: orgloop/v1alpha1\nkind: ConnectorGroup\n"


@attrs.frozen
class Bad:
    """What is on disk, and what must be said of it."""

    name: str
    files: Mapping[str, str | bytes]
    code: str
    line: int
    file: str = "orgloop.yaml"
    says: str = ""
    """A part of the text."""
    prepare: Callable[[Path], object] | None = None
    """What else is done to the folder."""

    def plant(self, folder: Path) -> Path:
        """Put it on disk."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        if self.prepare is not None:
            self.prepare(folder)
        return folder


def whole(name: str, text: str | bytes, code: str, line: int, says: str = "") -> Bad:
    """A project file of this text alone."""
    return Bad(name, {"orgloop.yaml": text}, code, line, says=says)


def head(name: str, text: str, code: str, line: int = 4, says: str = "") -> Bad:
    """A project file with this text from line 4."""
    return whole(name, HEAD + text, code, line, says)


def source(name: str, text: str, code: str, line: int = 7, says: str = "") -> Bad:
    """A source with this text from line 7."""
    return head(name, "sources:\n  - id: s\n    connector: github\n" + _indented(text), code, line, says)


def options(name: str, text: str, code: str, line: int = 8, says: str = "") -> Bad:
    """Options of a source from line 8; that it has a repository is said after them."""
    return source(name, "config:\n" + _indented(text, 2) + "  repo: a/b\n", code, line, says)


def route(name: str, code: str, line: int, *, when: str = WHEN, then: str = "{actor: a}", more: str = "") -> Bad:
    """A route: ``when`` in line 8, ``then`` in line 9, ``more`` from line 10."""
    body = f"routes:\n  - name: r\n    when: {when}\n    then: {then}\n"
    return head(name, PARTS + body + _indented(more), code, line)


def placed(name: str, text: str, code: str) -> Bad:
    """A transform at its place in a route, with this text in line 12."""
    body = f"routes:\n  - name: r\n    when: {WHEN}\n    then: {{actor: a}}\n    transforms:\n      - ref: d\n"
    return head(name, PARTS + body + f"        {text}\ntransforms: [{{name: d, type: dedup}}]\n", code, 12)


def transform(name: str, text: str, code: str, line: int, says: str = "") -> Bad:
    """A transform named t with this text from line 6."""
    return head(name, "transforms:\n  - name: t\n" + _indented(text), code, line, says)


def logger(name: str, text: str, code: str, line: int, says: str = "") -> Bad:
    """A logger named l with this text from line 6."""
    return head(name, "loggers:\n  - name: l\n" + _indented(text), code, line, says)


def group(name: str, text: str | bytes, code: str, line: int, says: str = "", file: str = "g.yaml") -> Bad:
    """A group file of this text, which the project names in line 4."""
    return Bad(name, {"orgloop.yaml": HEAD + f"connectors: [{file}]\n", file: text}, code, line, file, says)


def _indented(text: str, by: int = 4) -> str:
    return "".join(" " * by + line + "\n" for line in text.splitlines())


def _script(mode: int) -> Callable[[Path], object]:
    return lambda folder: os.chmod(folder / "x.sh", mode)


def _link_out(folder: Path) -> None:
    (folder.parent / "outside.yaml").write_text("sources: []\n")
    (folder / "g.yaml").symlink_to(folder.parent / "outside.yaml")


BILLION = "a: &a0 [x]\n" + "".join(f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 11))
MODULE = "apiVersion: orgloop/v1alpha1\nkind: Module\nmetadata: {name: m, description: d, version: 1.0.0}\n"


def boot(name: str, manifest: str, template: str, code: str, line: int, *, params: str = "{}", file: str = "") -> Bad:
    """A module in ``m``: manifest text from its line 4; its parameters in line 7 of the project."""
    files = {
        "orgloop.yaml": HEAD + PARTS + f"modules:\n  - {{package: ./m, params: {params}}}\n",
        "m/orgloop-module.yaml": MODULE + manifest,
        "m/templates/routes.yaml": template,
    }
    return Bad(name, files, code, line, file or "orgloop.yaml")


FILES = [
    Bad("nothing there", {}, "OL1001", 1, says="Configuration file not found"),
    head("group file missing", "connectors: [connectors/x.yaml]\n", "OL1001", says="was not found"),
    Bad(
        "group file misspelt",
        {"orgloop.yaml": HEAD + "connectors:\n  - githb.yaml\n", "github.yaml": "sources: []\n"},
        "OL1001",
        5,
        says='did you mean "github.yaml"?',
    ),
    Bad("group is a folder", {"orgloop.yaml": HEAD + "loggers: [d]\n", "d/x": ""}, "OL1002", 4),
    head("group is a device", "connectors: [/dev/zero]\n", "OL1002"),
    Bad(
        "group is a pipe",
        {"orgloop.yaml": HEAD + "connectors: [p.yaml]\n"},
        "OL1002",
        4,
        prepare=lambda folder: os.mkfifo(folder / "p.yaml"),
    ),
    Bad("group is a link out", {"orgloop.yaml": HEAD + "connectors: [g.yaml]\n"}, "OL1006", 4, prepare=_link_out),
    head("path with NUL", 'connectors: ["a\\0b"]\n', "OL1113"),
    head("path too long", f"connectors: [{'a' * 300}.yaml]\n", "OL1005"),
    head("path is a number", "connectors: [5]\n", "OL1201"),
    Bad("file too large", {"orgloop.yaml": HEAD + "connectors: [g.yaml]\n", "g.yaml": "#" * 1_048_577}, "OL1003", 4),
    whole("UTF-16", (HEAD + "bus: file\n").encode("utf-16"), "OL1004", 1, "UTF-16"),
    whole("Latin-1", HEAD.encode() + b"bus: \xe9\n", "OL1004", 1, "line 4"),
    Bad("routes folder with a folder", {"orgloop.yaml": HEAD, "routes/x.yaml/y": ""}, "OL1002", 1, "routes/x.yaml"),
]

YAML = [
    whole("empty", "", "OL1105", 1),
    whole("only remarks", "# nothing\n", "OL1105", 1),
    whole("a list", "- a\n", "OL1106", 1),
    whole("a text", "hello\n", "OL1106", 1),
    whole("a number", "5\n", "OL1106", 1),
    whole("two documents", HEAD + "---\na: 1\n", "OL1104", 4),
    head("key twice", "bus: file\nbus: memory\n", "OL1103", 5, "in line 4"),
    head("deep key twice", "defaults:\n  log_level: info\n  log_level: warn\n", "OL1103", 6),
    head("tab", "defaults:\n\tlog_level: info\n", "OL1102", 5),
    head("bad indent", "defaults:\n    log_level: info\n  poll_interval: 5m\n", "OL1101", 6),
    head("unclosed list", "exports: [a\n", "OL1101", 5),
    head("unclosed quote", 'bus: "file\n', "OL1101", 5),
    head("colon in text", "bus: a: b\n", "OL1101"),
    head("unknown alias", "bus: *nowhere\n", "OL1101"),
    head("unknown directive", "%FOO\n", "OL1101", 4),
    whole("a billion laughs", BILLION, "OL1108", 4),
    head("alias within itself", "exports: &a [*a]\n", "OL1109"),
    head("too deep", "exports: " + "[" * 70 + "]" * 70 + "\n", "OL1107"),
    head("a hundred thousand deep", "exports: " + "[" * 100_000 + "\n", "OL1107"),
    head("mappings too deep", "exports: " + "{a: " * 100_000 + "\n", "OL1107"),
    head("Python object", 'bus: !!python/object/apply:os.system ["id"]\n', "OL1110"),
    head("include", "bus: !include /etc/passwd\n", "OL1110"),
    head("environment tag", "bus: !env X\n", "OL1110"),
    head("binary", "bus: !!binary aGk=\n", "OL1110"),
    head("merge key", "defaults:\n  <<: {log_level: info}\n", "OL1111", 5),
    head("not a number", "x: .nan\n", "OL1112"),
    options("infinity", "per_page: .inf", "OL1112"),
    options("minus infinity", "per_page: -.INF", "OL1112"),
    options("float too large", "per_page: 1e999", "OL1112"),
    options("5,000 digits", "per_page: " + "9" * 5_000, "OL1112"),
    options("65 bits", "per_page: 18446744073709551616", "OL1112"),
    head("raw NUL", "bus: a\0b\n", "OL1113"),
    head("bell", "bus: a\ab\n", "OL1113"),
    head("escaped NUL", 'bus: "\\0"\n', "OL1113"),
    head("escaped escape", 'bus: "\\e[31m"\n', "OL1113"),
    head("lone surrogate", 'bus: "\\ud800"\n', "OL1101"),
    head("number as key", "defaults:\n  1: x\n", "OL1114", 5),
    head("switch as key", "defaults:\n  true: x\n", "OL1114", 5),
    head("list as key", "defaults:\n  ? [a]\n  : x\n", "OL1114", 5),
    head("braces without quotes", "bus: {{ name }}\n", "OL1114"),
    whole("too many values", "x:\n" + f"- [{'a,' * 9_990}]\n" * 21, "OL1115", 22),
    whole("too many members", "x: [" + "a," * 10_001 + "]\n", "OL1115", 1),
    group("bad YAML in a group", GROUP + "sources: [\n", "OL1101", 4),
    group("key twice in a group", GROUP + "sources: []\nsources: []\n", "OL1103", 4),
]

FORM = [
    head("unknown key", "conectors: []\n", "OL1203", says='did you mean "connectors"?'),
    head("strange key", "zzz: 1\n", "OL1203", says="known are"),
    whole("wrong kind", "apiVersion: orgloop/v1alpha1\nkind: ConnectorGroup\nsources: []\n", "OL1208", 2),
    whole("kind is a list", "apiVersion: orgloop/v1alpha1\nkind: [Project]\n", "OL1208", 2),
    whole("apiVersion is a number", "apiVersion: 1\nkind: Project\n", "OL1201", 1),
    whole("metadata is text", "apiVersion: v\nkind: Project\nmetadata: t\n", "OL1201", 3),
    whole("name with a slash", "apiVersion: v\nkind: Project\nmetadata: {name: a/b}\n", "OL1209", 3),
    whole("name is a number", "apiVersion: v\nkind: Project\nmetadata: {name: 5}\n", "OL1201", 3),
    whole("unknown metadata", "apiVersion: v\nkind: Project\nmetadata: {nam: a}\n", "OL1203", 3),
    head("connectors is text", "connectors: x.yaml\n", "OL1201"),
    head("routes is a mapping", "routes: {a: b}\n", "OL1201"),
    head("sources is text", "sources: x\n", "OL1201"),
    head("source is text", "sources: [github]\n", "OL1201"),
    head("bad default interval", "defaults: {poll_interval: soon}\n", "OL1205"),
    head("interval in two units", "defaults: {poll_interval: 1h30m}\n", "OL1205", says='write "90m"'),
    head("interval as a number", "defaults: {poll_interval: 5}\n", "OL1205", says='write "5s"'),
    head("interval of nothing", "defaults: {poll_interval: 0s}\n", "OL1210"),
    head("interval in sexagesimal", "defaults: {poll_interval: 1:30:00}\n", "OL1205"),
    head("interval of ages", "defaults: {poll_interval: 99999999d}\n", "OL1205"),
    head("bad level", "defaults: {log_level: loud}\n", "OL1208"),
    head("bad store", "defaults:\n  checkpoint: {store: disk}\n", "OL1208", 5),
    head("unknown default", "defaults:\n  poll: 5m\n", "OL1203", 5),
    head("exports is text", "exports: s\n", "OL1201"),
    head("bus with a space", "bus: a b\n", "OL1210"),
    head("bus is a number", "bus: 5\n", "OL1201"),
    head("bad restart", "supervision: {restart: never}\n", "OL1208"),
    head("negative intensity", "supervision: {intensity: -1}\n", "OL1210"),
    head("intensity as text", 'supervision: {intensity: "3"}\n', "OL1201", says="without quotes"),
    head("unknown supervision", "supervision: {restarts: 3}\n", "OL1203"),
    head("backoff above its end", "supervision:\n  backoff: {initial: 1m, maximum: 1s}\n", "OL1210", 5),
    head("source without id", "sources:\n  - connector: webhook\n", "OL1202", 5),
    head("source without connector", "sources:\n  - id: s\n", "OL1202", 5),
    head("id is a number", "sources:\n  - id: 5\n    connector: webhook\n", "OL1201", 5),
    head("id leads upwards", 'sources:\n  - id: "../x"\n    connector: webhook\n', "OL1209", 5),
    head("id with a space", "sources:\n  - id: a b\n    connector: webhook\n", "OL1209", 5),
    head("id with a dot first", "sources:\n  - id: .a\n    connector: webhook\n", "OL1209", 5),
    head("id with a dash first", 'sources:\n  - id: "-a"\n    connector: webhook\n', "OL1209", 5),
    head("id with an escape", 'sources:\n  - id: "%2e"\n    connector: webhook\n', "OL1209", 5),
    head("id not in ASCII", "sources:\n  - id: é\n    connector: webhook\n", "OL1209", 5),
    head("id of 65", f"sources:\n  - id: {'a' * 65}\n    connector: webhook\n", "OL1209", 5),
    head("id with a line", 'sources:\n  - id: "a\\nb"\n    connector: webhook\n', "OL1209", 5),
    head("unknown key of a source", "sources:\n  - id: s\n    connector: webhook\n    interval: 5m\n", "OL1203", 7),
    head("bad poll", "sources:\n  - id: s\n    connector: webhook\n    poll:\n      interval: 5 m\n", "OL1205", 8),
    head("poll is text", "sources:\n  - id: s\n    connector: webhook\n    poll: 5m\n", "OL1201", 7),
    head("emits something else", "sources:\n  - id: s\n    connector: webhook\n    emits: [push]\n", "OL1208", 7),
    head("label is a number", "sources:\n  - id: s\n    connector: webhook\n    labels: {a: 1}\n", "OL1201", 7),
    route("no events", "OL1202", 8, when="{source: s}"),
    route("no source", "OL1202", 8, when="{events: [resource.changed]}"),
    route("events empty", "OL1210", 8, when="{source: s, events: []}"),
    route("events is text", "OL1201", 8, when="{source: s, events: resource.changed}"),
    route("unknown event", "OL1208", 8, when="{source: s, events: [resource.change]}"),
    route("no actor", "OL1202", 9, then="{}"),
    route("unknown key of a route", "OL1203", 10, more="prompt: x.md"),
    route("with nothing known", "OL1203", 10, more="with: {prompt_file: orgloop.yaml, promt: y.md}"),
    placed("bad on_error", "on_error: skip", "OL1208"),
    route("rate without period", "OL1207", 9, then="{actor: a, delivery: {max_rate: 100}}"),
    route("rate of nothing", "OL1207", 9, then="{actor: a, delivery: {max_rate: 0/s}}"),
    route("depth as text", "OL1201", 9, then="{actor: a, delivery: {queue_depth: lots}}"),
    route("bad backoff", "OL1208", 9, then="{actor: a, delivery: {retry: {backoff: slow}}}"),
    route("unknown delivery", "OL1203", 9, then="{actor: a, delivery: {retries: 3}}"),
    route("timeout as a number", "OL1205", 9, then="{actor: a, delivery: {timeout: 30}}"),
    route("delivery is text", "OL1201", 9, then="{actor: a, delivery: fast}"),
    head("route without name", PARTS + f"routes:\n  - when: {WHEN}\n    then: {{actor: a}}\n", "OL1202", 7),
    transform("timeout as text", 'type: dedup\ntimeout_ms: "5"', "OL1201", 7),
    transform("timeout of nothing", "type: dedup\ntimeout_ms: 0", "OL1210", 7),
    transform("script without its path", "type: script", "OL1309", 5),
    transform("package without its name", "type: package", "OL1309", 5),
    transform("bad on_error of a definition", "type: dedup\non_error: ignore", "OL1208", 7),
    logger("no type", "level: info", "OL1202", 5),
    logger("level of a logger", "type: console\nlevel: chatty", "OL1208", 7),
    group("unknown key in a group", GROUP + "source: []\n", "OL1203", 3, 'did you mean "sources"?'),
    group("unknown kind", "kind: ConectorGroup\nsources: []\n", "OL1211", 1, 'did you mean "ConnectorGroup"?'),
    group("project as a group", "kind: Project\nsources: []\n", "OL1211", 1),
    group("group is a list", "- id: s\n", "OL1106", 1),
    group("list is a mapping", GROUP + "sources: {id: s}\n", "OL1201", 3),
]

NAMES = [
    head("id twice", "sources:\n  - {id: s, connector: webhook}\n  - {id: s, connector: webhook}\n", "OL1301", 6),
    head(
        "ids but for case", "actors:\n  - {id: s, connector: webhook}\n  - {id: S, connector: webhook}\n", "OL1301", 6
    ),
    Bad(
        "id twice in two files",
        {
            "orgloop.yaml": HEAD + "connectors: [a.yaml, b.yaml]\n",
            "a.yaml": "sources: [{id: s, connector: webhook}]\n",
            "b.yaml": "sources:\n  - {id: s, connector: webhook}\n",
        },
        "OL1301",
        2,
        "b.yaml",
    ),
    route("source nowhere", "OL1302", 8, when="{source: z, events: [resource.changed]}"),
    route("actor nowhere", "OL1303", 9, then="{actor: agnet}"),
    route("transform nowhere", "OL1304", 10, more="transforms: [{ref: t}]"),
    route("transform nowhere, as text", "OL1304", 11, more="transforms:\n  - dedup"),
    head("export nowhere", "exports: [s]\n", "OL1302"),
    route("two colons", "OL1306", 8, when='{source: "a:b:c", events: [resource.changed]}'),
    route("no module", "OL1306", 8, when='{source: ":c", events: [resource.changed]}'),
    route("own module", "OL1302", 8, when='{source: "t:z", events: [resource.changed]}'),
    route("no such field", "OL1307", 8, when="{source: s, events: [resource.changed], filter: {paylod.a: 1}}"),
    route("filter of nothing", "OL1308", 8, when="{source: s, events: [resource.changed], filter: {payload.a: []}}"),
    route("filter of a mapping", "OL1308", 8, when="{source: s, events: [resource.changed], filter: {payload.a: {}}}"),
]

VARIABLES = [
    options("not set", 'token: "${NOWHERE}"', "OL1401", says='"NOWHERE" is not set'),
    options("a known one not set", 'token: "${GITHUB_TOKEN}"', "OL1401", says="https://example.org/token"),
    options("one of two not set", 'token: "${SET}${NOWHERE}"', "OL1401"),
    options("not closed", 'token: "${SET"', "OL1402"),
    options("within another", 'token: "${A:-${SET}}"', "OL1402"),
    options("no name", 'token: "${}"', "OL1402"),
    options("not a name", 'token: "${a b}"', "OL1402"),
    options("other operator", 'token: "${SET:?no}"', "OL1402"),
    options("not a number in it", 'per_page: "${SET}"', "OL1201"),
    Bad(".env too large", {"orgloop.yaml": HEAD, ".env": "#" * 1_048_577}, "OL1003", 1, ".env"),
    Bad(".env not UTF-8", {"orgloop.yaml": HEAD, ".env": b"A=\xff\n"}, "OL1004", 1, ".env"),
]

PLUGINS = [
    head("unknown connector", "sources: [{id: s, connector: githb}]\n", "OL1501", says='Did you mean "github"?'),
    head("connector without source", "sources: [{id: s, connector: openclaw}]\n", "OL1501", says="for a source"),
    head("connector without actor", "actors: [{id: a, connector: github}]\n", "OL1501", says="for an actor"),
    head("broken connector", 'sources: [{id: s, connector: "acme:broken"}]\n', "OL1502"),
    head("connector file missing", "sources: [{id: s, connector: ./x.py}]\n", "OL1505"),
    Bad(
        "connector in JavaScript",
        {"orgloop.yaml": HEAD + "sources: [{id: s, connector: ./x.mjs}]\n", "x.mjs": ""},
        "OL1502",
        4,
    ),
    transform("unknown transform", "type: fliter", "OL1501", 6, 'Did you mean "filter"?'),
    transform("unknown package", 'type: package\npackage: "@acme/x"', "OL1501", 7),
    logger("unknown logger", "type: consol", "OL1501", 6, 'Did you mean "console"?'),
    head("unknown bus", "bus: kafkaa://x\n", "OL1504"),
    options("unknown option", "repos: x", "OL1203", says='did you mean "repo"?'),
    options("option of another kind", "per_page: many", "OL1201"),
    options("events as text", "events: push", "OL1201"),
    source("option missing", "config: {token: x}", "OL1202", 7),
    source("config is a list", "config: [a]", "OL1201", 7),
    options("old interval, bad", "poll_interval: 5 m", "OL1205"),
    options("old interval in a mapping, bad", "poll: {interval: 5 m}", "OL1205"),
    transform("bad regex", "type: filter\nconfig:\n  match:\n    payload.x: '/(/'", "OL1503", 9),
    transform("backreference", "type: filter\nconfig:\n  match:\n    payload.x: '/(a)\\1/'", "OL1503", 9),
    transform("bad window", "type: dedup\nconfig: {window: 5}", "OL1205", 7),
    transform("unknown option of dedup", "type: dedup\nconfig:\n  windwo: 5m", "OL1203", 8),
    logger("bad size", "type: file\nconfig:\n  rotation: {max_size: big}", "OL1206", 8),
    placed("bad option of a place", "config: {window: 1}", "OL1205"),
    placed("unknown option of a place", "config: {windwo: 5m}", "OL1203"),
]

ATTACHED = [
    route("prompt missing", "OL1601", 10, more="with: {prompt_file: sops/x.md}"),
    Bad(
        "prompt missing from a route file",
        {
            "orgloop.yaml": HEAD + PARTS,
            "routes/r.yaml": f"routes:\n  - name: r\n    when: {WHEN}\n    then: {{actor: a}}\n"
            "    with:\n      prompt_file: x.md\n",
        },
        "OL1601",
        6,
        "routes/r.yaml",
        says="routes/x.md",
    ),
    *(
        Bad(
            name,
            {
                "orgloop.yaml": HEAD
                + PARTS
                + f"routes:\n  - name: r\n    when: {WHEN}\n    then: {{actor: a}}\n    with: {{prompt_file: p.md}}\n",
                "p.md": content,
            },
            "OL1602",
            10,
        )
        for name, content in [
            ("prompt too large", b"x" * 1_048_577),
            ("prompt not UTF-8", b"\xff\xff"),
            ("prompt with NUL", b"a\0b"),
        ]
    ),
    transform("script missing", "type: script\nscript: ./x.sh", "OL1603", 7),
    Bad(
        "script not executable",
        {"orgloop.yaml": HEAD + "transforms:\n  - {name: t, type: script, script: x.sh}\n", "x.sh": "#!/bin/sh\n"},
        "OL1604",
        5,
        says="chmod +x",
        prepare=_script(0o644),
    ),
    Bad(
        "script is a folder",
        {"orgloop.yaml": HEAD + "transforms: [{name: t, type: script, script: d}]\n", "d/x": ""},
        "OL1603",
        4,
    ),
]

MODULES = [
    head("unknown module", 'modules:\n  - package: "@acme/module-x"\n', "OL1701", 5),
    head("bare module", "modules:\n  - package: engineering\n", "OL1701", 5, "fully qualified"),
    head("module that leads upwards", 'modules:\n  - package: "@acme/../../x"\n', "OL1701", 5),
    Bad("no manifest", {"orgloop.yaml": HEAD + "modules: [{package: ./m}]\n", "m/x": ""}, "OL1702", 4),
    head("module without package", "modules:\n  - params: {}\n", "OL1202", 5),
    head("module of itself", "modules: [{package: ./orgloop.yaml}]\n", "OL1707"),
    boot(
        "parameter missing", "parameters: [{name: x, description: d, type: string, required: true}]\n", "", "OL1703", 7
    ),
    boot("parameter unknown", "parameters: [{name: x, description: d}]\n", "", "OL1704", 7, params="{y: 1}"),
    boot("parameter of another type", "parameters: [{name: x, type: number}]\n", "", "OL1705", 7, params="{x: a}"),
    boot("parameter with quotes", "parameters: [{name: x}]\n", "", "OL1705", 7, params="{x: 'a\"b'}"),
    boot("bad type", "parameters:\n  - {name: x, type: text}\n", "", "OL1208", 5, file="m/orgloop-module.yaml"),
    boot("unknown key in a manifest", "provide: {}\n", "", "OL1203", 4, file="m/orgloop-module.yaml"),
    boot("expression nowhere", "", "routes: []\n# {{ params.z }}\n", "OL1704", 2, file="m/templates/routes.yaml"),
    boot("template not YAML", "", "routes: [\n", "OL1101", 2, file="m/templates/routes.yaml"),
    boot(
        "template leads nowhere",
        "",
        f"routes:\n  - name: x\n    when: {WHEN}\n    then: {{actor: z}}\n",
        "OL1303",
        4,
        file="m/templates/routes.yaml",
    ),
    boot("key of a part", "defaults: {log_level: info}\n", "", "OL1708", 4, file="m/orgloop-module.yaml"),
    Bad(
        "module name twice",
        {
            "orgloop.yaml": HEAD + "modules:\n  - package: ./m\n",
            "m/orgloop.yaml": HEAD,
        },
        "OL1706",
        5,
    ),
]

CORPUS = [*FILES, *YAML, *FORM, *NAMES, *VARIABLES, *PLUGINS, *ATTACHED, *MODULES]
