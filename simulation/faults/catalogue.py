"""
Ten faults that somebody could make, and the short proofs that must notice each of them.

A proof that nothing can fail proves nothing. Each fault replaces one passage of our code,
once, while the module is imported; no file is changed (``simulation.faults.planting``).
"""

from __future__ import annotations

from dataclasses import dataclass

FAILURES = "tests/integration/exchange/test_failures.py"
RUNNER = "tests/integration/exchange/test_runner.py"
STORE = "tests/db_contract/test_store.py"
COMPARE = "tests/simulation/test_compare.py"
MARGIN = "tests/simulation/test_margin_compare.py"
AGREE = "::test_engine_and_naive_exchange_agree_on_random_commands"
AGREE_ON_MARGIN = "::test_engine_and_naive_exchange_agree_on_margin"


@dataclass(frozen=True, slots=True)
class Fault:
    """
    One passage of a module and what stands there instead.

    ``proofs`` are tests of ``make test``; the fault is noticed when they fail.
    """

    name: str
    module: str
    passage: str
    instead: str
    proofs: tuple[str, ...]


FAULTS = (
    Fault(
        "a batch is acknowledged although its commit failed",
        "exchange.processor",
        "        except StoreBusyError as error:\n"
        '            logger.error("commit_failed", error=str(error))\n',
        "        except StoreBusyError as error:\n"
        '            logger.error("commit_failed", error=str(error))\n'
        "            events = BatchEvents(EVENTS_VERSION, self.epoch, 0, 0, 0, 0, [], [])\n"
        "            return Committed(consumed, batch.answers, events, 0, 0.0)\n",
        (f"{FAILURES}::TestFailedCommit",),
    ),
    Fault(
        "the offset is not part of the transaction",
        "exchange.position",
        '_KEPT = {"id", "epoch",',
        '_KEPT = {"orders_offset", "orders_taken", "id", "epoch",',
        (f"{RUNNER}::TestLanes",),
    ),
    Fault(
        "nobody looks whether the epoch is still ours",
        "exchange.store.sqlite",
        "values).rowcount != 1:",
        "values).rowcount > 1:",
        (f"{STORE}::TestFence", f"{FAILURES}::TestFencing"),
    ),
    Fault(
        "a command that is delivered twice is applied twice",
        "exchange.processor",
        "repeated = command_id in taken or command_id in self._state.applied_ids",
        "repeated = False",
        (f"{RUNNER}::TestLanes",),
    ),
    Fault(
        "what was published is forgotten to be missed",
        "exchange.runner",
        "        self._reset_due = not published\n",
        "        self._reset_due = False\n",
        (f"{RUNNER}::TestRedis",),
    ),
    Fault(
        "a fee is rounded in favour of who pays it",
        "exchange.core.ledger",
        "    fee = -(-exact // RATE_ONE)\n",
        "    fee = exact // RATE_ONE\n",
        ("tests/property/test_rounding.py", f"{COMPARE}{AGREE}"),
    ),
    Fault(
        "a maker pays the fee of a taker",
        "exchange.core.executing",
        "quote_atoms=notional, rate_e8=maker.maker_rate_e8)",
        "quote_atoms=notional, rate_e8=maker.taker_rate_e8)",
        (f"{COMPARE}{AGREE}",),
    ),
    Fault(
        "what an order held is not given back when a fill is cheaper",
        "exchange.core.executing",
        "    wallet.held_atoms += held - maker.held_atoms\n",
        "    wallet.held_atoms += min(0, held - maker.held_atoms + 1)\n",
        (f"{COMPARE}{AGREE}",),
    ),
    Fault(
        "an order at the limit price does not match",
        "exchange.core.matching",
        "if limit_key is not None and key < limit_key:",
        "if limit_key is not None and key <= limit_key:",
        (f"{COMPARE}{AGREE}",),
    ),
    Fault(
        "who stands exactly at maintenance is let off",
        "exchange.core.liquidation",
        "    return balance <= maintenance\n",
        "    return balance < maintenance\n",
        ("tests/unit/exchange/test_ladder.py", f"{MARGIN}{AGREE_ON_MARGIN}"),
    ),
)
