"""Tests of the ensemble that is kept while a search runs."""

from __future__ import annotations

import asyncio
import io
import json
import pickle
import threading

import numpy as np
import pytest

import aiohpo
from aiohpo import Float, Space, Study
from aiohpo.errors import UsageError
from aiohpo.peer.ensemble_candidates import nominate
from aiohpo.plugin.registry import create
from aiohpo.runtime.live_ensemble import EnsembleState, Ensembling, decode, metric_for
from aiohpo.storage.blob_store import DirectoryBlobs
from aiohpo.storage.run import open_run
from aiohpo.storage.run_directory import read_ensemble
from aiohpo_plugins.ensembles.greedy import GreedyBuilder
from tests.support.evaluate_objectives import Alarm

SPACE = Space(x=Float(0.0, 1.0), skill=Float(0.2, 1.2))
ROWS = 200
Y = np.random.default_rng(0).integers(0, 3, ROWS)


def proba(seed: int, skill: float) -> np.ndarray:
    """Class probabilities of a model that is right more often the more skilled it is, erring in its own way."""
    z = np.random.default_rng(seed).normal(size=(ROWS, 3))
    z[np.arange(ROWS), Y] += skill
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def train(trial):
    p = proba(int(trial["x"] * 1e6), trial["skill"])
    trial.predictions(valid=p)
    return float(-np.log(p[np.arange(ROWS), Y]).mean())


def search(path, builder="greedy", trials=12, workers=2, function=train, **options):
    given = {"targets": {"valid": Y}, "searcher": "random", "evaluator": "thread", **options}
    study = Study(function, SPACE, ensemble=builder, directory=path, **given)
    return study.run(trials=trials, slots=workers, progress=False)


async def at_leisure(path, builder, metric=None) -> EnsembleState:
    """The ensemble of a finished run, built from its directory by somebody who was not there."""
    run = open_run(path)

    async def fetch(digest, worker):
        return True

    ensembling = Ensembling(create("ensembles", builder), metric, run.view, DirectoryBlobs(path / "blobs").get, fetch)
    assert await ensembling.update()
    assert ensembling.state is not None
    return ensembling.state


@pytest.mark.parametrize("builder", ["greedy", "topk", "gradient"])
async def test_the_ensemble_at_the_end_is_the_one_built_afterwards(tmp_path, builder):
    """Bit for bit, though it grew model by model in the order in which results arrived."""
    study = Study(
        train, SPACE, ensemble=builder, directory=tmp_path / "r", targets={"valid": Y}, searcher="random",
        evaluator="thread",
    )  # fmt: skip
    online = (await study.arun(trials=12, slots=2)).ensemble
    offline = (await at_leisure(tmp_path / "r", builder)).ensemble
    assert online is not None
    assert [m.trial for m in online.members] == [m.trial for m in offline.members]
    assert online.weights.tolist() == offline.weights.tolist()
    assert online.score == offline.score


async def test_an_update_that_is_cancelled_is_made_up_for_by_the_next(tmp_path):
    """Cancelled while it builds, as at the end of a search: the next update waits for that build and does the work."""

    class Gated(GreedyBuilder):
        def live(self, y, metric):
            began.set()
            assert may_build.wait(120)
            return super().live(y, metric)

    async def fetch(digest, worker):
        return True

    began, may_build = threading.Event(), threading.Event()
    await asyncio.to_thread(search, tmp_path / "r", None)
    run = open_run(tmp_path / "r")
    ensembling = Ensembling(Gated(), None, run.view, DirectoryBlobs(tmp_path / "r" / "blobs").get, fetch)
    update = asyncio.ensure_future(ensembling.update())
    assert await asyncio.to_thread(began.wait, 60)
    update.cancel()
    asyncio.get_running_loop().call_soon(may_build.set)
    with pytest.raises(asyncio.CancelledError):
        await update
    assert await ensembling.update()
    assert ensembling.state is not None
    assert ensembling.state.models == len(nominate(run.view))


def test_progress_and_result_tell_of_it(tmp_path):
    """The directory says how it does beside the best single model; the result holds it, members described."""
    result = search(tmp_path / "r")
    state = json.loads((tmp_path / "r" / "ensemble.json").read_text())
    assert state["models"] >= 12  # a surplus one counts, too
    assert state["score"] < state["single"]
    assert read_ensemble(tmp_path / "r") == state
    configs = {t.id: t.config for t in result.trials}
    assert all(configs[m.trial] == m.config for m in result.ensemble.members)


def test_one_models_mistake_does_not_cost_the_ensemble(tmp_path):
    """Predictions of the wrong length are left out and named; a lost blob too."""

    def careless(trial):
        p = proba(int(trial["x"] * 1e6), trial["skill"])
        trial.predictions(valid=p[:-1] if trial["skill"] > 0.9 else p)
        return 0.5

    result = search(tmp_path / "r", function=careless)
    state = json.loads((tmp_path / "r" / "ensemble.json").read_text())
    assert 0 < state["models"] < 12
    assert result.ensemble is not None


def test_without_targets_the_search_goes_on_without_an_ensemble(tmp_path):
    """There is nothing to compare with; the search itself is not harmed."""
    study = Study(train, SPACE, ensemble="greedy", directory=tmp_path / "r", searcher="random", evaluator="thread")
    result = study.run(trials=12, progress=False)
    assert result.ensemble is None
    assert result.counts["finished"] == 12
    assert [text for text in study.notices if "trial.targets(valid=y)" in text]
    assert read_ensemble(tmp_path / "r") is None


def test_what_a_builder_raises_ends_no_search(tmp_path):
    """A mistake in an ensemble builder is told with its kind, and the search goes on without an ensemble."""

    class Broken:
        def fit(self, predictions, y, metric):
            raise TypeError("not this")

    study = Study(train, SPACE, ensemble=Broken(), targets={"valid": Y}, searcher="random", evaluator="thread")
    result = study.run(trials=3, progress=False)
    assert result.counts == {"finished": 3}
    assert result.ensemble is None
    assert "no ensemble: TypeError: not this" in study.notices


def test_the_metric_suits_the_targets():
    """Classes are scored by log-loss, numbers by their error, unless somebody says otherwise."""
    assert metric_for(None, ["cat", "dog"]).name == "log_loss"
    assert metric_for(None, [0.0, 1.0]).name == "log_loss"
    assert metric_for(None, [0.5, 1.25]).name == "rmse"
    assert metric_for("brier", [0, 1]).name == "brier"


def test_an_unknown_builder_is_an_error_that_lists_the_known():
    """Before anything runs."""
    with pytest.raises(UsageError, match="greedy"):
        aiohpo.Study(train, SPACE, ensemble="caruna", evaluator="thread").run(trials=1, progress=False)


def hostile_arrays() -> dict[str, bytes]:
    alarm, blobs = Alarm(), {"nothing": b"", "text": b"no array", "pickle": pickle.dumps(Alarm())}
    for name, save in {
        "objects": lambda file: np.save(file, np.array([alarm]), allow_pickle=True),
        "archive": lambda file: np.savez(file, a=np.zeros(3)),
        "cut": lambda file: np.save(file, np.zeros(3)),
        "huge": lambda file: file.write(header_of((1 << 50,))),
        "beyond": lambda file: file.write(header_of((1 << 62, 1 << 62))),
        "header": lambda file: file.write(header_of((7,)).replace(b"(7,)", b"('''")),
        "negative": lambda file: file.write(header_of((-5,))),
    }.items():
        file = io.BytesIO()
        save(file)
        blobs[name] = file.getvalue()[:-1]
    return blobs


def header_of(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return file.getvalue() + bytes(17)


@pytest.mark.parametrize("name", hostile_arrays())
def test_what_is_no_array_counts_as_lost(name):
    """Predictions come from others: bytes that are no plain array are neither unpickled nor allowed to fill memory."""
    assert decode(hostile_arrays()[name]) is None
