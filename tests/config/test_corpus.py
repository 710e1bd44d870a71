"""Every bad configuration of the corpus is refused: at its line, under its code, quickly, and by nothing else."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from orgloop.config.codes import CODES
from orgloop.config.project import examine_project, load_project
from orgloop.config.report import plain_of, report_of
from orgloop.errors import ConfigError
from tests.config.corpus import CORPUS, Bad
from tests.config.plugins import Plugins

SLOW = {"too many values"}
EACH = [pytest.param(bad, id=bad.name, marks=[pytest.mark.slow] if bad.name in SLOW else []) for bad in CORPUS]
ENVIRON = {"SET": "a-value-that-is-set", "HOME": "/home/nobody"}


@pytest.mark.parametrize("bad", EACH)
def test_a_bad_configuration_is_refused_at_its_line(tmp_path: Path, bad: Bad) -> None:
    """One fault, with its code, file, line and words."""
    folder = tmp_path / "project"
    folder.mkdir()
    bad.plant(folder)

    with pytest.raises(ConfigError) as caught:
        load_project(folder, environ=ENVIRON, catalogue=Plugins())

    (fault,) = caught.value.faults
    assert fault.place is not None
    assert (fault.code, fault.place.line) == (bad.code, bad.line), fault.text
    assert fault.place.file == str(folder / bad.file)
    assert bad.says in fault.text


@pytest.mark.parametrize("bad", EACH)
def test_a_fault_can_be_shown_and_explained(tmp_path: Path, bad: Bad) -> None:
    """To people on a few lines, to programs as JSON; its code is in the catalogue; and all that within a second."""
    folder = tmp_path / "project"
    folder.mkdir()
    bad.plant(folder)

    began_s = time.process_time()
    examined = examine_project(folder, environ=ENVIRON, catalogue=Plugins())
    told = [*examined.faults, *examined.warnings]
    shown = [report_of(fault, base=folder) for fault in told]

    assert time.process_time() - began_s < 1.0
    assert bad.code in CODES
    assert any(f"{bad.file}:{bad.line}:" in text and bad.code in text for text in shown)
    assert json.loads(json.dumps([plain_of(fault) for fault in told]))[0]["line"] >= 1


def test_the_corpus_is_large() -> None:
    """And each case has a name of its own."""
    assert len({bad.name for bad in CORPUS}) == len(CORPUS) >= 120
