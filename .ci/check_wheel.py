"""
What a user gets: builds the wheel, looks inside, installs it elsewhere, type-checks a program against it.

Law: everything after the build happens outside the source tree, in a fresh virtual environment that holds the
wheel and what it depends on. So a file the wheel forgets, or a py.typed it lacks, cannot be hidden by ours.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("orgloop", "orgloop_supervisors", "orgloop_connectors")
NOT_SHIPPED = {"tests", "examples", "docs", ".ci"}

CONSUMER = """\
from orgloop_supervisors import ChildSpec, ChildStatus, SupervisorSpec, open_supervisor

async def accept(port: int, *, task_status: ChildStatus[str]) -> None: ...

LISTENER: ChildSpec[str] = ChildSpec(id="listener", run=accept, args=(8080,), notify=True)

async def main() -> None:
    async with open_supervisor(SupervisorSpec(name="root", children=[LISTENER])) as root:
        address: str = await root.wait_running(LISTENER)
        number: int = await root.wait_running(LISTENER)  # must be an error
"""
# Whether mypy blames the argument or the assignment, it has seen that the ready value is a str.
MUST_FAIL = re.compile(r"consumer\.py:(?P<line>\d+): error: .*\bstr\b.*\bint\b.* \[(arg-type|assignment)\]")


class WheelError(Exception):
    """The wheel is not what a user should get; the text says what is wrong with it."""


def main() -> int:
    """The exit code: 0 when every check passed."""
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="orgloop-wheel-") as folder:
            for line in check(Path(folder)):
                print(f"wheel-check: {line}", flush=True)
    except WheelError as error:
        print(f"wheel-check: FAILED: {error}", file=sys.stderr)
        return 1
    print(f"wheel-check: passed in {time.monotonic() - began:.1f} s")
    return 0


def check(folder: Path) -> Iterator[str]:
    """A line for each thing that holds; WheelError at the first that does not."""
    wheel = build(folder / "dist")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
    yield f"{wheel.name}: {len(names)} files, {wheel.stat().st_size / 1024:.1f} KiB"

    faults = content_faults(names)
    if faults:
        raise WheelError("\n  ".join(["the content is wrong:", *faults]))
    yield f"holds {', '.join(PACKAGES)} and one .dist-info, each py.typed, the licence, and nothing else"

    python = install(wheel, folder / "user")
    (folder / "imports.py").write_text(IMPORTS, encoding="utf-8")
    versions = run([python, "-I", "imports.py"], cwd=folder).strip()
    yield f"installs with its dependencies, pip check is content, and imports: {versions}"

    yield check_types(python, folder / "program")


# ------------------------------------------------------------------------------------------ content


def build(folder: Path) -> Path:
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT], cwd=ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def content_faults(names: Iterable[str]) -> list[str]:
    """What is wrong with a wheel of these files; empty when nothing is."""
    paths = [PurePosixPath(name) for name in names]
    top = {path.parts[0] for path in paths}
    infos = {name for name in top if name.endswith(".dist-info")}
    found = [f"{name}: does not belong at the top" for name in sorted(top - infos - set(PACKAGES))]
    found += [f"{name}: missing" for name in PACKAGES if name not in top]
    if len(infos) != 1:
        found.append(f"{len(infos)} .dist-info folders, not one")
    found += [f"{name}/py.typed: missing" for name in PACKAGES if PurePosixPath(name, "py.typed") not in paths]
    found += [f"{path}: is not for users" for path in paths if NOT_SHIPPED & set(path.parts)]
    if not any(path.parts[0] in infos and path.name == "LICENSE" for path in paths):
        found.append("LICENSE: missing from .dist-info")
    return found


# ------------------------------------------------------------------------------------- installation

IMPORTS = f"""\
import importlib, importlib.metadata, sys
for name in {PACKAGES}:
    where = importlib.import_module(name).__file__
    assert where and where.startswith(sys.prefix), f"{{name}} came from {{where}}"
import orgloop
assert orgloop.__version__ == importlib.metadata.version("orgloop")
print(", ".join(f"{{name}} {{importlib.metadata.version(name)}}" for name in ("orgloop", "trio", "attrs")))
"""


def install(wheel: Path, folder: Path) -> Path:
    """The Python of a fresh environment that holds ``wheel`` and its dependencies, and no pip."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    run([*pip, "install", "--quiet", wheel], cwd=folder)
    run([*pip, "check"], cwd=folder)
    return python


# ------------------------------------------------------------------------------------------- typing


def check_types(python: Path, folder: Path) -> str:
    """Runs our mypy on the consumer against what ``python`` has installed; says what it found."""
    folder.mkdir()
    (folder / "consumer.py").write_text(CONSUMER, encoding="utf-8")
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary"]
    finished = subprocess.run(
        [*mypy, f"--python-executable={python}", "consumer.py"],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    (line,) = (n for n, text in enumerate(CONSUMER.splitlines(), start=1) if "must be an error" in text)
    errors = [text for text in finished.stdout.splitlines() if ": error: " in text]
    expected = [MUST_FAIL.fullmatch(error) for error in errors]
    if [match and match["line"] for match in expected] != [str(line)]:
        report = finished.stdout + finished.stderr or "no error at all"
        raise WheelError(f"mypy should report line {line} and no other of\n{CONSUMER}\nbut said\n{report}")
    return f"mypy --strict sees the types of the installed copy: {errors[0]}"


# ------------------------------------------------------------------------------------------- running


def clean_environment() -> dict[str, str]:
    """Ours, without what would lead Python or mypy back to the source tree."""
    return {name: value for name, value in os.environ.items() if name not in {"MYPYPATH", "PYTHONPATH"}}


def run(command: list[str | Path], *, cwd: Path) -> str:
    """What ``command`` printed; WheelError with all of it when it fails."""
    finished = subprocess.run(command, cwd=cwd, env=clean_environment(), capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        shown = " ".join(map(str, command))
        raise WheelError(f"{shown}: exit code {finished.returncode}\n{finished.stdout}{finished.stderr}")
    return finished.stdout


if __name__ == "__main__":
    sys.exit(main())
