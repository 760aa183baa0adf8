"""What a soak's figures are held to; the soak itself runs in ``make prove``."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from simulation.soak.figures import STREAM_MAX, WAL_MAX_BYTES, Sample, Usage, judge, usage

KIB = 100_000


def samples(
    *, kib_per_min: int = 0, fds_per_min: int = 0, wal_bytes: int = 0, stream: int = 0
) -> list[Sample]:
    """Return ten minutes of one process, a sample each ten seconds."""
    return [
        Sample(
            at_s=index * 10.0,
            processes={
                "web": Usage(KIB + kib_per_min * index // 6, 30 + fds_per_min * index // 6),
            },
            wal_bytes=wal_bytes,
            streams={"events": stream},
        )
        for index in range(61)
    ]


class TestJudge:
    def test_what_stays_as_it_is_has_no_problem(self) -> None:
        verdict = judge(samples(wal_bytes=WAL_MAX_BYTES - 1, stream=STREAM_MAX))

        assert verdict.problems == []
        assert [growth.name for growth in verdict.growths] == ["web"]
        assert verdict.growths[0].rss_kib_per_min == 0
        assert (verdict.wal_bytes, verdict.streams) == (WAL_MAX_BYTES - 1, {"events": STREAM_MAX})

    @pytest.mark.parametrize(
        ("_case", "found", "problem"),
        [
            ("memory", samples(kib_per_min=1_200), "web grows by 1200 KiB a minute"),
            ("files", samples(fds_per_min=2), "web opened 5 files more"),
            ("log", samples(wal_bytes=WAL_MAX_BYTES), "the write-ahead log grew to 64 MiB"),
            ("stream", samples(stream=STREAM_MAX + 1), "stream events grew to 50,001 entries"),
        ],
    )
    def test_what_grows_is_named(self, _case: str, found: list[Sample], problem: str) -> None:
        assert judge(found).problems == [problem]

    def test_growth_of_the_first_half_is_a_cache_that_fills(self) -> None:
        grown = samples(kib_per_min=6_000)
        level = grown[30].processes
        flat = [*grown[:30], *(replace(sample, processes=level) for sample in grown[30:])]

        assert judge(flat).problems == []

    def test_a_process_that_ended_is_a_problem(self) -> None:
        found = samples()
        found[-1] = replace(found[-1], processes={})

        assert judge(found).problems == ["web ended"]

    def test_few_samples_are_not_judged(self) -> None:
        assert judge(samples()[:8]).problems == [
            "only 4 samples in the second half, too few to judge"
        ]


class TestUsage:
    def test_this_process_has_memory_and_files(self) -> None:
        mine = usage(os.getpid())

        assert mine is not None
        assert mine.rss_kib > 1_024
        assert mine.fds >= 3

    def test_of_a_process_that_is_gone_is_none(self) -> None:
        assert usage(2**22 + 1) is None
