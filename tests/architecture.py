"""
Who may import whom, as a table, and a reader of imports that checks a source tree against it.

Law: an import is an arrow, wherever it stands: in a function, under TYPE_CHECKING, relative, or by a literal
name given to `import_module`. Arrows point down only. A room that is not in the table may not exist.
"""

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

PARTS = frozenset({"bus", "wal", "routing", "delivery", "transforms", "loggers"})
# Highest first. A room imports from the layers below its own, and beside itself only what BESIDE names.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"__main__"}),
    frozenset({"__init__"}),  # the face: `orgloop` itself
    frozenset({"cli", "http", "daemon", "embed", "testing"}),
    frozenset({"runtime"}),
    PARTS,
    frozenset({"sdk", "config"}),
    frozenset({"event", "errors"}),
)
ROOMS = frozenset().union(*LAYERS)
BESIDE = {
    "cli": {"daemon"},  # `orgloop start` starts it
    "daemon": {"http"},  # the daemon is the runtime with its front door
    "event": {"errors"},
}
# The HTTP face calls the runtime's public methods only.
CLOSED = {"http": PARTS}

# Distributions that one room owns: nobody else may import them.
OWNED = {
    "cattrs": {"config"},
    "click": {"cli"},
    "hypercorn": {"http"},
    "quart": {"http"},
    "quart_trio": {"http"},
    "rich": {"cli"},
    "ruamel": {"config"},
}
# Pure rooms decide; they do not wait.
PURE = {"errors", "event", "routing"}
CONCURRENT = {"anyio", "trio"}
# `orgloop --help` has 150 ms: what these roots import while being imported must not reach the heavy ones.
LIGHT = {"orgloop", "orgloop.__main__", "orgloop.cli"}
HEAVY = {"anyio", "cattrs", "httpx", "httpx2", "hypercorn", "quart", "quart_trio", "rich", "ruamel", "trio"}

OURS = {"orgloop": ".", "orgloop_supervisors": "supervisors", "orgloop_connectors": "connectors"}
SUPERVISORS_MAY_IMPORT = {"attr", "attrs", "orgloop_supervisors", "trio"}
REFUSED_NAMES = {"helper", "helpers", "manager", "managers", "misc", "shared", "util", "utils"}
REFUSED_NAMES |= {"base", "common", "data", "handle", "info", "process"}


@attrs.frozen
class Arrow:
    """One import: the full name it asks for, and whether it runs when the module is imported."""

    target: str
    line: int
    eager: bool


@attrs.frozen
class Module:
    """One file under its dotted name."""

    name: str
    path: Path
    arrows: tuple[Arrow, ...]

    @property
    def package(self) -> str:
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]


def violations(root: Path) -> list[str]:
    """Everything in the source tree below ``root`` that breaks the table, one line each: file, line, rule."""
    modules = list(read_modules(root))
    found = [
        f"{module.path.relative_to(root)}:{arrow.line}: {module.name} imports {arrow.target}: {rule}"
        for module in modules
        for arrow in module.arrows
        for rule in broken_rules(module, arrow.target)
    ]
    found += [f"{module.path.relative_to(root)}: {rule}" for module in modules for rule in broken_name_rules(module)]
    return found + list(heavy_paths(modules)) + list(strangers(root))


# ------------------------------------------------------------------------------------------ reading


def read_modules(root: Path) -> Iterator[Module]:
    for package, folder in OURS.items():
        base = root / folder
        for path in sorted((base / package).rglob("*.py")):
            parts = path.relative_to(base).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            module = Module(name, path, ())
            tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
            yield attrs.evolve(module, arrows=tuple(read_arrows(tree, module.package)))


def read_arrows(tree: ast.AST, package: str, *, eager: bool = True) -> Iterator[Arrow]:
    """Every import below ``tree``; ``package`` is what a leading dot means."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Arrow(alias.name, node.lineno, eager) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = resolve(node, package)
            yield from (Arrow(f"{origin}.{alias.name}", node.lineno, eager) for alias in node.names)
        elif isinstance(node, ast.Call) and (literal := literal_import(node)) is not None:
            yield Arrow(literal, node.lineno, eager)
        if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            yield from read_arrows(ast.Module(node.body, []), package, eager=False)
            yield from read_arrows(ast.Module(node.orelse, []), package, eager=eager)
            continue
        late = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from read_arrows(node, package, eager=eager and not late)


def resolve(node: ast.ImportFrom, package: str) -> str:
    """The absolute name that ``from ..x import y`` speaks of."""
    if node.level == 0:
        return node.module or ""
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])


def literal_import(call: ast.Call) -> str | None:
    function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if function not in {"import_module", "__import__"} or not call.args:
        return None
    name = call.args[0]
    return name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else None


# ---------------------------------------------------------------------------------------- the rules


def broken_rules(module: Module, target: str) -> Iterator[str]:
    """The rules that an import of ``target`` breaks when it stands in ``module``."""
    home, top = module.name.split(".")[0], target.split(".", maxsplit=1)[0]
    if top in sys.stdlib_module_names:
        return
    if home == "orgloop_supervisors":
        if top not in SUPERVISORS_MAY_IMPORT:
            yield "orgloop_supervisors knows trio and attrs, nothing else"
    elif home == "orgloop_connectors":
        yield from broken_connector_rules(module, target)
    elif top == "orgloop_connectors":
        yield "connectors are found by entry point, never imported"
    elif top == "orgloop":
        yield from broken_layer_rules(room_of(module.name), room_of(target))
    else:
        yield from broken_outside_rules(room_of(module.name), top)


def broken_connector_rules(module: Module, target: str) -> Iterator[str]:
    top, _, rest = target.partition(".")
    if top == "orgloop_supervisors" or (top == "orgloop" and rest.split(".")[0] != "sdk"):
        yield "of ours, a connector imports orgloop.sdk only"
    elif top == "orgloop_connectors":
        own, other = module.name.split(".")[1:2], rest.split(".")[0]
        # What begins with an underscore is no connector: it is the ground that they stand on.
        if own != [other] and not other.startswith("_"):
            yield "connectors never import each other"


def broken_layer_rules(room: str, target: str) -> Iterator[str]:
    if room == target:
        return
    if layer(target) < layer(room):
        yield "arrows point down only"
    elif layer(target) == layer(room) and target not in BESIDE.get(room, ()):
        yield f"{room} and {target} are of one layer, which never import each other"
    elif target in CLOSED.get(room, ()):
        yield f"{room} calls the runtime's public methods only"


def broken_outside_rules(room: str, top: str) -> Iterator[str]:
    if top in OWNED and room not in OWNED[top]:
        yield f"{top} belongs to {', '.join(sorted(OWNED[top]))}"
    if room in PURE and top in CONCURRENT:
        yield f"{room} is pure"


def broken_name_rules(module: Module) -> Iterator[str]:
    home, *rest = module.name.split(".")
    if rest and rest[-1].strip("_") in REFUSED_NAMES:
        yield f"{rest[-1]} says nothing as a name"
    if home == "orgloop" and rest and rest[0] not in ROOMS:
        yield f"{rest[0]} has no place in the table"


def room_of(name: str) -> str:
    """The room a dotted name of ours lies in: what is no room is a name on the face."""
    return next((part for part in name.split(".")[1:2] if part in ROOMS), "__init__")


def layer(room: str) -> int:
    return next(number for number, rooms in enumerate(LAYERS) if room in rooms)


# --------------------------------------------------------------------------------- start-up weight


def heavy_paths(modules: Iterable[Module]) -> Iterator[str]:
    """A line for each heavy import that a light room meets while it is imported, with the way there."""
    by_name = {module.name: module for module in modules}
    for root in by_name.keys() & LIGHT:
        for name, way in reached_from(root, by_name).items():
            for arrow in by_name[name].arrows:
                if arrow.eager and (top := arrow.target.split(".")[0]) in HEAVY:
                    yield f"{root} must start fast, and imports {top}: {' -> '.join([*way, top])}"


def reached_from(root: str, by_name: dict[str, Module]) -> dict[str, list[str]]:
    """The modules of ours that run when ``root`` is imported, each with the way there."""
    ways = {root: [root]}
    waiting = [root]
    while waiting:
        name = waiting.pop()
        eager = [arrow.target for arrow in by_name[name].arrows if arrow.eager]
        for reached in {name for target in eager for name in imported_with(target, by_name)} - ways.keys():
            ways[reached] = [*ways[name], reached]
            waiting.append(reached)
    return ways


def imported_with(target: str, by_name: dict[str, Module]) -> Iterator[str]:
    """The modules of ours that run when ``target`` is imported: itself and every package above it."""
    parts = target.split(".")
    for end in range(1, len(parts) + 1):
        if (name := ".".join(parts[:end])) in by_name:
            yield name


# ------------------------------------------------------------------------------------- neighbours


def strangers(root: Path) -> Iterator[str]:
    """What would land in a user's site-packages under a generic name."""
    for package, folder in OURS.items():
        if folder == ".":
            continue
        for path in sorted((root / folder).glob("*")):
            importable = path.suffix == ".py" or any(path.rglob("*.py"))
            if importable and path.name not in {package, "__init__.py"}:
                yield f"{path.relative_to(root)}: only {package} may stand in {folder}/"
    for path in sorted(root.glob("*/__init__.py")):
        if path.parent.name != "orgloop":
            yield f"{path.relative_to(root)}: makes {path.parent.name} a package of that generic name"
