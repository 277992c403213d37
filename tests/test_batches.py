from __future__ import annotations

import time
from pathlib import Path

import pytest

from extractors.batches import Batches, even


def items(n: int) -> list[tuple[str, Path]]:
    return [(f"{i:03}", Path()) for i in range(n)]


def nobody() -> list[str]:
    return []


def test_every_worker_gets_as_many_batches_and_none_is_left_alone_at_the_end() -> None:
    given = items(41)
    assert sorted(len(batch) for batch in even(given, 8, 4)) == [5, 5, 5, 5, 5, 5, 5, 6]
    assert [len(batch) for batch in even(given[:40], 8, 1)] == [8, 8, 8, 8, 8]
    assert [item for batch in even(given, 8, 4) for item in batch] == given
    assert [len(batch) for batch in even(given[:3], 8, 4)] == [1, 1, 1]
    assert list(even([], 8, 4)) == []
    for n in range(1, 60):
        sizes = [len(batch) for batch in even(items(n), 8, 3)]
        assert sum(sizes) == n
        assert max(sizes) <= 8
        assert max(sizes) - min(sizes) <= 1


def test_a_run_that_is_alone_draws_the_same_batches_each_time() -> None:
    drawn = [list(Batches(items(50), 8, 2, grows=False, others=nobody)) for _ in range(2)]
    assert sorted(drawn[0]) == sorted(drawn[1]) == list(even(items(50), 8, 2))


def test_what_others_have_computed_is_left_out() -> None:
    told = iter([["000", "001", *(f"{i:03}" for i in range(8, 16))]])
    batches = Batches(items(32), 8, 1, grows=False, others=lambda: next(told, []))
    drawn = [key for batch in batches for key, _ in batch]
    assert sorted(drawn) == [f"{i:03}" for i in range(32) if i not in (0, 1, *range(8, 16))]


def test_every_run_goes_its_own_way() -> None:
    orders = {
        tuple(batch[0][0] for batch in Batches(items(400), 4, 1, grows=False, others=nobody))
        for _ in range(5)
    }
    assert len(orders) > 1
    assert all(len(order) == 100 for order in orders)


@pytest.mark.parametrize(("grows", "largest"), [(True, 32), (False, 4)])
def test_batches_grow_where_keeping_them_costs_much(grows: bool, largest: int) -> None:
    batches = Batches(items(200), 4, 1, grows=grows, others=nobody)
    drawn = []
    for batch in batches:
        drawn += batch
        if len(drawn) < 40:
            time.sleep(0.002)
            batches.kept(0.002)  # all of its time
    assert sorted(drawn) == items(200)
    assert batches.size == largest


def test_batches_do_not_grow_where_keeping_them_costs_little() -> None:
    batches = Batches(items(20), 4, 1, grows=True, others=nobody)
    for _ in batches:
        time.sleep(0.01)
        batches.kept(0.0001)
    assert batches.size == 4


def test_for_another_number_of_workers_what_is_left_is_planned_anew_and_the_same_each_time() -> None:
    drawn = []
    for _ in range(2):
        batches = Batches(items(48), 8, 1, grows=False, others=nobody)
        assert len(batches) == 6
        batches.n_workers = 4
        drawn.append(sorted(batches))
    assert drawn[0] == drawn[1] == list(even(items(48), 8, 4))
    assert len(drawn[0]) == 8
