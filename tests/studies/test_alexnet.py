"""Tests of the recorded trainings."""

from __future__ import annotations

import random

import numpy as np

from aiohpo import Study
from studies.alexnet import SECONDS_A_SECOND, ReplayedTraining, candidates, trainings


def test_table_says_of_every_training_how_it_went() -> None:
    """There is an error after each epoch that was recorded and after no other, and an epoch takes some minutes."""
    table = trainings()
    assert np.array_equal(np.isfinite(table.error).sum(axis=1), table.epochs)
    assert (table.epochs[~table.diverged] >= 20).all()
    assert 60 < table.seconds.min() < table.seconds.max() < 1000


def test_replay_reports_the_recorded_error_and_fails_where_the_training_did() -> None:
    """What a trial is worth, and whether it fails, is in the table; its time is that of the candidate called last."""
    table, replayed = trainings(), ReplayedTraining(30, seed=5)
    study = Study(
        replayed, candidates(6), metric="error", max_steps=30, searcher="grid:resolution=6", evaluator="thread"
    )
    trials = list(study.run(trials=6, slots=1, progress=False).trials)
    rows = np.random.default_rng(5).permutation(512)
    for trial in trials:
        row = rows[trial.config["candidate"]]
        if table.diverged[row] and table.epochs[row] < 30:
            assert trial.status == "failed"
        else:
            assert trial.value == table.error[row, min(table.epochs[row], 30) - 1]
    seconds = table.seconds[rows[trials[-1].config["candidate"]]]
    assert replayed.draw(random.Random(0)) == seconds / SECONDS_A_SECOND * 30
