"""What the writer did becomes series that exist from the start and carry no account."""

from __future__ import annotations

from exchange.batch import Item, OpenBatch
from exchange.core.commands import VERSION, CancelAllOrders, Envelope
from exchange.core.enums import Lane
from exchange.core.events import Outcome
from exchange.core.rejects import Code
from exchange.figures import Distribution, ExchangeFigures
from exchange.wire import Submission, make_command_id


def values(figures: ExchangeFigures) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for metric in figures.collect()
        for sample in metric.samples
    }


def batch_of(*codes: Code) -> OpenBatch:
    batch = OpenBatch()
    for number, code in enumerate(codes, start=1):
        command = CancelAllOrders(account_id=1_000_001, market_id=1)
        item = Item(Submission(make_command_id(), command), Lane.ORDERS)
        envelope = Envelope(
            VERSION, number, 1_000, item.submission.command_id, item.lane, command, None, ""
        )
        batch.applied(item, envelope, Outcome(code, 0, ()))
    return batch


def test_distribution_counts_up_to_each_bound_inclusive() -> None:
    distribution = Distribution((1, 2, 5))
    for value in (1, 2, 2, 6):
        distribution.observe(value)

    samples = distribution.family("sizes", "Sizes.").samples

    assert [(sample.labels.get("le"), sample.value) for sample in samples] == [
        ("1", 1.0),
        ("2", 3.0),
        ("5", 3.0),
        ("+Inf", 4.0),
        (None, 4.0),
        (None, 11.0),
    ]


def test_series_of_incidents_exist_before_the_first_one() -> None:
    found = values(ExchangeFigures())

    assert found["exchange_liquidations_total", ("deleveraging",)] == 0
    assert found["exchange_liquidations_total", ("settlement",)] == 0
    assert found["exchange_deleveraging_needed_total", ()] == 0
    assert found["exchange_failed_commits_total", ()] == 0
    assert found["exchange_commands_total", ("PlaceOrder", "OK")] == 0
    assert found["exchange_leader", ()] == 0
    assert found["exchange_phase", ("standby",)] == 1


def test_commands_are_counted_by_type_and_result() -> None:
    figures = ExchangeFigures()
    batch = batch_of(Code.OK, Code.OK, Code.MARKET_NOT_FOUND)
    batch.refused(Item(Submission("x" * 32, CancelAllOrders(1, 1)), Lane.ORDERS), Code.QUARANTINED)

    figures.committed(batch, rows=7, commit_s=0.004)

    found = values(figures)
    assert found["exchange_commands_total", ("CancelAllOrders", "OK")] == 2
    assert found["exchange_commands_total", ("CancelAllOrders", "MARKET_NOT_FOUND")] == 1
    assert found["exchange_commands_total", ("refused", "QUARANTINED")] == 1
    assert found["exchange_rows_total", ()] == 7
    assert found["exchange_batch_commands_bucket", ("5",)] == 1
    assert found["exchange_commit_seconds_bucket", ("0.0025",)] == 0
    assert found["exchange_commit_seconds_bucket", ("0.005",)] == 1


def test_acknowledgement_is_timed_from_the_command_ids_and_strange_ids_do_not_count() -> None:
    figures = ExchangeFigures()
    old = f"{int(make_command_id()[:12], 16) - 3_000:012x}" + "0" * 20

    figures.answered([make_command_id(), old, "of-an-operator", "0" * 32])

    found = values(figures)
    assert found["exchange_acknowledge_seconds_count", ()] == 2
    assert found["exchange_acknowledge_seconds_bucket", ("2.5",)] == 1
    assert found["exchange_acknowledge_seconds_bucket", ("5",)] == 2


def test_no_label_carries_an_account() -> None:
    figures = ExchangeFigures()
    figures.committed(batch_of(Code.OK), rows=1, commit_s=0.001)

    labels = {name for metric in figures.collect() for s in metric.samples for name in s.labels}

    assert labels == {"le", "type", "result", "kind", "phase"}
