"""Jobs come back in their order and with their errors, wherever they run."""

from __future__ import annotations

import os
import time

import pytest

from classifiers import pool


def where(job: int) -> tuple[int, int]:
    time.sleep(0.01)
    return job, os.getpid()


def fails(job: int) -> int:
    if job == 3:
        raise ValueError("job 3 is bad")
    return job


def places(n_jobs: int, workers: int) -> set[int]:
    done = pool.run(where, range(n_jobs), workers=workers)
    assert [job for job, _ in done] == list(range(n_jobs))
    return {place for _, place in done}


def test_few_short_jobs_stay_here() -> None:
    assert places(5, workers=2) == {os.getpid()}
    assert pool.run(where, [], workers=2) == []


@pytest.mark.usefixtures("at_once")
def test_jobs_that_are_worth_it_go_to_processes_in_their_order() -> None:
    assert places(12, workers=1) == {os.getpid()}
    found = places(12, workers=2)
    assert os.getpid() in found, "the first is done here"
    assert len(found) > 1


def test_within_warmed_all_jobs_go_out_and_after_it_they_stay() -> None:
    with pool.warmed(2):
        assert os.getpid() not in places(12, workers=2)
        assert places(3, workers=1) == {os.getpid()}
        with pool.warmed(2):
            assert os.getpid() not in places(3, workers=2)
    assert places(3, workers=2) == {os.getpid()}


def test_one_worker_warms_nothing() -> None:
    with pool.warmed(1):
        assert places(3, workers=2) == {os.getpid()}


def test_an_error_of_a_job_comes_through_and_the_next_jobs_run() -> None:
    with pool.warmed(2):
        with pytest.raises(ValueError, match="job 3 is bad"):
            pool.run(fails, range(6), workers=2)
        assert os.getpid() not in places(4, workers=2)
    with pytest.raises(ValueError, match="job 3 is bad"):
        pool.run(fails, range(6), workers=2)
