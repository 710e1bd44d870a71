"""
Break the pure core of the supervisors one place at a time: does a test notice? Run it with ``make mutants``.

A mutant is one small lie: ``<`` for ``<=``, ``and`` for ``or``, a condition negated, a number one higher. Each runs in
a fork of this process, which has loaded everything but the package, with a copy of the package that holds the lie
first on ``sys.path``; the real files are never touched. One that no test notices is a gap in the tests, or changes
nothing that can be observed: such are listed in :data:`EQUIVALENT`, each with the reason. Exit code 1 if an unlisted
mutant survives, or a listed one does not.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent.parent
PACKAGE = ROOT / "supervisors" / "orgloop_supervisors"
WORKERS = 2
CPU_LIMIT_S, LIMIT_S = 40.0, 600
"""A mutant may turn a loop endless, or wait for ever. All tests need about 5 s of processor time, at any load."""

TARGETS: dict[str, tuple[frozenset[str] | None, tuple[str, ...]]] = {
    "_policy.py": (None, ("policy", "backoff", "intensity", "strategies", "restart_policy")),
    "_checks.py": (None, ("refusals", "policy")),
    "_errors.py": (
        frozenset({"verdict", "bare", "is_cancellation", "split_fatal", "_leaves"}),
        ("errors", "fatal", "escalation"),
    ),
}
"""What is broken (None: all of the file), and the tests that are most likely to notice, first."""

FAST_TESTS = (
    *("policy", "errors", "refusals", "backoff", "intensity", "strategies", "restart_policy", "escalation", "fatal"),
    *("stop", "golden", "model"),
)
"""All that are asked, ``test_<name>.py`` each, before a mutant counts as survived; those that do not exist are not."""

EQUIVALENT: dict[tuple[str, str, str], str] = {}
"""(file, line, mutated line) of each mutant that changes nothing observable, and why."""


@attrs.frozen
class Mutant:
    """One changed place of one file."""

    file: str
    line: int
    before: str
    after: str
    source: str
    original: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is known by in the table, wherever its line may have moved."""
        return self.file, self.before, self.after

    def __str__(self) -> str:
        return f"{self.file}:{self.line}\n    - {self.before}\n    + {self.after}"


# -- making mutants ----------------------------------------------------------------------------------------------------

SWAPPED_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
SWAPPED_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
}
SWAPPED_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}


def mutants_of(file: str, source: str, functions: frozenset[str] | None) -> Iterator[Mutant]:
    """Every mutant of a file, or of some of its functions."""
    tree = ast.parse(source)
    enums = members_of_enums(tree)
    for top in tree.body:
        if functions is None or (isinstance(top, ast.FunctionDef) and top.name in functions):
            for node in code_below(top):
                for place, lie in lies_about(node, enums):
                    yield planted(file, source, place, lie)


def code_below(top: ast.AST) -> Iterator[ast.AST]:
    """What runs: neither annotations nor the texts of messages."""
    if isinstance(top, ast.JoinedStr):
        return
    yield top
    for field, value in ast.iter_fields(top):
        if field not in ("annotation", "returns"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from code_below(child)


def lies_about(node: ast.AST, enums: dict[str, list[str]]) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Which expression could say what instead."""
    match node:
        case ast.If(test) | ast.IfExp(test) | ast.While(test) if not is_flipped_anyway(test):
            yield test, ast.UnaryOp(ast.Not(), test)
        case ast.comprehension(ifs=tests):
            yield from ((test, ast.UnaryOp(ast.Not(), test)) for test in tests if not is_flipped_anyway(test))
        case ast.Return(ast.Attribute(ast.Name(enum), member) as value) if enum in enums:
            yield from ((value, ast.Attribute(ast.Name(enum), other)) for other in enums[enum] if other != member)
        case ast.expr():
            yield from ((node, lie) for lie in lies_of(node))


def is_flipped_anyway(test: ast.expr) -> bool:
    """Whether another lie says the opposite of a condition already."""
    match test:
        case ast.UnaryOp(ast.Not()) | ast.Compare(ops=[ast.Is() | ast.IsNot() | ast.Eq() | ast.NotEq()]):
            return True
    return False


def lies_of(node: ast.expr) -> Iterator[ast.expr]:
    """What an expression could say instead."""
    match node:
        case ast.Compare(left, operators, operands):
            for index, operator in enumerate(operators):
                swapped = SWAPPED_COMPARISONS[type(operator)]()
                yield ast.Compare(left, [*operators[:index], swapped, *operators[index + 1 :]], operands)
        case ast.BoolOp(operator, values):
            yield ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
        case ast.UnaryOp(ast.Not(), operand):
            yield operand
        case ast.BinOp(left, operator, right) if type(operator) in SWAPPED_ARITHMETIC:
            yield ast.BinOp(left, SWAPPED_ARITHMETIC[type(operator)](), right)
        case ast.Constant(value) if isinstance(value, bool):
            yield ast.Constant(not value)
        case ast.Constant(value) if isinstance(value, int | float):
            yield ast.Constant(value + 1)
        case ast.Call(ast.Name(name), arguments, keywords) if name in SWAPPED_CALLS:
            yield ast.Call(ast.Name(SWAPPED_CALLS[name]), arguments, keywords)


def members_of_enums(tree: ast.Module) -> dict[str, list[str]]:
    """The enums that a module defines, and their members."""
    return {
        node.name: [target.id for line in node.body if isinstance(line, ast.Assign) for target in names(line)]
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id == "Enum" for base in node.bases)
    }


def names(assignment: ast.Assign) -> list[ast.Name]:
    """The plain names that an assignment binds."""
    return [target for target in assignment.targets if isinstance(target, ast.Name)]


def planted(file: str, source: str, place: ast.expr, lie: ast.expr) -> Mutant:
    """Write a lie over its place, and leave every other character as it is."""
    assert place.end_lineno is not None
    assert place.end_col_offset is not None
    lines = source.encode().splitlines(keepends=True)
    text = ast.unparse(ast.fix_missing_locations(lie)).encode()
    head, tail = lines[place.lineno - 1][: place.col_offset], lines[place.end_lineno - 1][place.end_col_offset :]
    changed = head + (text if isinstance(lie, ast.Constant | ast.Call | ast.Attribute) else b"(" + text + b")") + tail
    mutated = b"".join([*lines[: place.lineno - 1], changed, *lines[place.end_lineno :]]).decode()
    assert ast.dump(ast.parse(mutated)) != ast.dump(ast.parse(source))
    before = b" ".join(line.strip() for line in lines[place.lineno - 1 : place.end_lineno])
    return Mutant(file, place.lineno, before.decode(), changed.decode().strip(), mutated, source)


# -- running them ------------------------------------------------------------------------------------------------------


def load_everything_but_the_package() -> None:
    """Import what every run needs, so that a fork of this process starts with it."""
    for name in ("anyio.pytest_plugin", "hypothesis.stateful", "pytest", "pytest_trio.plugin", "trio.testing"):
        importlib.import_module(name)
    loaded = [name for name in sys.modules if name.startswith(("orgloop_supervisors", "tests."))]
    assert not loaded, f"already loaded: {loaded}"


def existing(subjects: Iterable[str]) -> list[str]:
    """The test files of these subjects that there are."""
    paths = (TESTS / f"test_{subject}.py" for subject in dict.fromkeys(subjects))
    return [str(path.relative_to(ROOT)) for path in paths if path.exists()]


def fork_to_test(home: Path, tests: list[str], output: Path) -> int:
    """Run tests against the package below ``home`` in a fork; its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 99  # the tool itself failed
    try:
        signal.setitimer(signal.ITIMER_PROF, CPU_LIMIT_S)
        signal.alarm(LIMIT_S)
        silence(output)
        code = test_here(home, tests)
    except BaseException:  # a fork must not live on as a second tool
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def silence(output: Path) -> None:
    """Send what this process prints to a file."""
    written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(written, stream)


def test_here(home: Path, tests: list[str]) -> int:
    """Run tests in this very process; pytest's exit code."""
    import pytest

    sys.dont_write_bytecode = True
    sys.path.insert(0, str(home))
    options = ["-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", "--assert=plain", "--hypothesis-seed=0"]
    code = pytest.main([*options, *tests])
    tested = sys.modules.get(PACKAGE.name)
    assert code != 0 or (tested and tested.__file__ and Path(tested.__file__).is_relative_to(home)), "not our copy"
    return code


def verdicts(mutants: list[Mutant], homes: list[Path]) -> Iterator[tuple[Mutant, bool]]:
    """Whether each mutant survived, as they finish; as many at once as there are homes."""
    waiting, running = list(reversed(mutants)), dict[int, tuple[Mutant, Path, list[list[str]]]]()
    free = list(homes)
    while waiting or running:
        while waiting and free:
            mutant, home = waiting.pop(), free.pop()
            install(mutant.file, mutant.source, home)
            specific = existing(TARGETS[mutant.file][1])
            rest = [test for test in existing(FAST_TESTS) if test not in specific]
            stages = [tests for tests in (specific, rest) if tests]
            running[launch(home, stages)] = (mutant, home, stages[1:])
        pid, status = os.wait()
        mutant, home, stages = running.pop(pid)
        if is_pass(status, home) and stages:
            running[launch(home, stages)] = (mutant, home, stages[1:])
            continue
        if os.WIFSIGNALED(status):
            print(f"ended by {signal.Signals(os.WTERMSIG(status)).name}, which counts as noticed  {mutant}", flush=True)
        install(mutant.file, mutant.original, home)
        free.append(home)
        yield mutant, is_pass(status, home)


def launch(home: Path, stages: list[list[str]]) -> int:
    """Start the first stage."""
    return fork_to_test(home, stages[0], home / "output")


def is_pass(status: int, home: Path) -> bool:
    """Whether all tests passed; anything but a pass, a failure or a death is a fault of this tool."""
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) not in (0, 1, 2):
        sys.exit(f"the tests could not be run (exit code {os.WEXITSTATUS(status)}):\n{(home / 'output').read_text()}")
    return status == 0


def install(file: str, source: str, home: Path) -> None:
    """Write one file of the package below ``home``."""
    (home / PACKAGE.name / file).write_text(source)


def open_home(base: Path, number: int) -> Path:
    """Copy the package to where mutants are planted."""
    home = base / str(number)
    shutil.copytree(PACKAGE, home / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    return home


def refuse_if_the_tests_fail(homes: list[Path]) -> None:
    """Make sure that what is not changed survives, run like the mutants: then it is their lies that kill them."""
    for file in TARGETS:
        source = (homes[0] / PACKAGE.name / file).read_text()
        for _, survived in verdicts([Mutant(file, 0, "", "", source, source)], homes[:1]):
            if not survived:
                sys.exit(f"the tests fail without any mutant:\n{(homes[0] / 'output').read_text()}")


# -- telling -----------------------------------------------------------------------------------------------------------


def judge(mutants: list[Mutant], homes: list[Path]) -> bool:
    """Test all, print what is to be done, and count; whether nothing is."""
    survivors: list[Mutant] = []
    equivalent: list[Mutant] = []
    stale: list[Mutant] = []
    for mutant, survived in verdicts(mutants, homes):
        if mutant.key in EQUIVALENT:
            (equivalent if survived else stale).append(mutant)
        elif survived:
            survivors.append(mutant)
            print(f"survived  {mutant}", flush=True)
    gone = EQUIVALENT.keys() - {mutant.key for mutant in mutants}
    for mutant in stale:
        print(f"listed as equivalent, but noticed  {mutant}")
    for key in sorted(gone):
        print(f"listed as equivalent, but not there  {key}")
    killed = len(mutants) - len(survivors) - len(equivalent)
    print(f"{len(mutants)} mutants, {killed} killed, {len(equivalent)} equivalent, {len(survivors)} survived")
    return not (survivors or stale or gone)


def all_mutants(wanted: str) -> list[Mutant]:
    """The mutants of every target whose name contains ``wanted``."""
    return [
        mutant
        for file, (functions, _) in TARGETS.items()
        if wanted in file
        for mutant in mutants_of(file, (PACKAGE / file).read_text(), functions)
    ]


def main() -> int:
    """Run all mutants; the exit code."""
    parser = argparse.ArgumentParser(description="Break the pure core of the supervisors: do the tests notice?")
    parser.add_argument("file", nargs="?", default="", help="only this file, such as _policy.py")
    wanted = parser.parse_args().file
    began_s = time.monotonic()
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as base:
        os.environ |= {"SCHEDULE_SEEDS": "1", "HYPOTHESIS_STORAGE_DIRECTORY": f"{base}/hypothesis"}
        load_everything_but_the_package()
        homes = [open_home(Path(base), number) for number in range(WORKERS)]
        refuse_if_the_tests_fail(homes)
        print(f"the tests pass as it is ({time.monotonic() - began_s:.1f} s)", flush=True)
        fine = judge(all_mutants(wanted), homes)
    print(f"{time.monotonic() - began_s:.0f} s", file=sys.stderr)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
