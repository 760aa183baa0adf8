"""Faults planted in our own code are noticed by the short proofs; all ten in ``make prove``."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulation.faults.catalogue import FAULTS, Fault
from simulation.faults.planting import PassageError, plant, planted
from simulation.faults.run import try_fault

ROOT = Path(__file__).parents[2]
# The quickest of each kind: commit, epoch, matching.
TRIED = (0, 2, 8)


@pytest.mark.parametrize("number", TRIED, ids=[FAULTS[number].name for number in TRIED])
def test_a_planted_fault_is_noticed(number: int) -> None:
    verdict = try_fault(number)

    assert verdict.noticed, verdict.output


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_fault_fits_the_code_as_it_is(fault: Fault) -> None:
    source = (ROOT / f"{fault.module.replace('.', '/')}.py").read_text()

    changed = planted(fault, source)

    assert changed != source
    compile(changed, fault.module, "exec")
    for proof in fault.proofs:
        assert (ROOT / proof.partition("::")[0]).exists()


def test_there_are_ten() -> None:
    assert len(FAULTS) == len({fault.name for fault in FAULTS}) == 10


def test_a_passage_that_is_gone_is_told() -> None:
    with pytest.raises(PassageError, match="0 times"):
        planted(FAULTS[0], "nothing of it")


def test_a_module_that_is_imported_already_is_too_late_for_its_fault() -> None:
    with pytest.raises(PassageError, match="imported before"):
        plant(Fault("late", "simulation.faults.run", "a", "b", ()))
