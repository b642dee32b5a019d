"""Tests of ensembles as data: prediction, uncertainty, saving."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from aiohpo.ensembles.calibrators import Affine, Isotonic, Scaling, number
from aiohpo.ensembles.ensemble import Ensemble, Member, load_ensemble
from aiohpo.ensembles.metrics import get_metric
from aiohpo.errors import UsageError

RNG = np.random.default_rng(0)
P = RNG.dirichlet([0.5] * 3, size=(2, 10))
SHARPER = Scaling(number(1.4), np.zeros(3))


def classifier(**changes: object) -> Ensemble:
    values: dict = {
        "task": "classification",
        "members": (Member(4, "w-1", {"lr": 0.1}, "abc"), Member(2, "w-2", {"lr": 0.2})),
        "weights": np.array([0.75, 0.25]),
        "calibrators": (Scaling(number(1.3), np.array([0.1, 0.0, -0.2])), None),
        "metric": "log_loss",
        "score": 0.5,
        "columns": 3,
    }
    return Ensemble(**{**values, **changes})


def regressor(calibrators: tuple = (None, None), columns: int = 2) -> Ensemble:
    members = (Member(0, "a"), Member(1, "b"))
    return Ensemble("regression", members, np.array([0.5, 0.5]), calibrators, "rmse", 1.0, columns)


def test_mixes_calibrated_predictions() -> None:
    """The prediction is the weighted mean of what the calibrators make of the members'."""
    ensemble = classifier()
    expected = 0.75 * ensemble.calibrators[0](P[0]) + 0.25 * P[1]
    assert ensemble.predict_proba(P) == pytest.approx(expected)
    assert ensemble.predict(P).tolist() == expected.argmax(axis=1).tolist()


def test_calibrates_the_mixture_last() -> None:
    """The final calibrator maps the mean of the calibrated predictions; the total uncertainty is that of the result,
    and each part keeps its share."""
    bare, ensemble = classifier(), classifier(final=SHARPER)
    mixture = SHARPER(bare.predict_proba(P))
    assert ensemble.predict_proba(P) == pytest.approx(mixture)
    before, u = bare.uncertainty(P), ensemble.uncertainty(P)
    assert u.total == pytest.approx(-(mixture * np.log(mixture)).sum(axis=1))
    assert u.aleatoric + u.epistemic == pytest.approx(u.total)
    assert u.epistemic / u.total == pytest.approx(before.epistemic / before.total)


def test_takes_predictions_by_the_names_of_trials() -> None:
    """A mapping may hold more than the members, in any order."""
    by_name = {"w-9": None, "w-2": P[1], "w-1": P[0]}
    assert np.array_equal(classifier().predict_proba(by_name), classifier().predict_proba(P))
    with pytest.raises(UsageError, match="w-1"):
        classifier().predict_proba({"w-2": P[1]})


def test_rows_select_members_from_all_predictions() -> None:
    """The members of an ensemble are rows of what it was built from."""
    assert classifier().rows.tolist() == [4, 2]


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        (P[:1], "1 models for 2 members"),
        ([P[0], P[1][:5]], "differ in length"),
        (P[:, :, :2], "trial w-1 have shape"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(predictions: object, message: str) -> None:
    """The message says what is expected, and of which member."""
    with pytest.raises(UsageError, match=message):
        classifier().predict_proba(predictions)


def test_two_classes_may_be_one_column() -> None:
    """The probability of the second class is enough."""
    ensemble = classifier(columns=2, calibrators=(None, None))
    p = RNG.random((2, 5))
    assert ensemble.predict_proba(p)[:, 1] == pytest.approx([0.75, 0.25] @ p)


def test_a_mixture_of_normals_has_the_variance_between_them() -> None:
    """Mean and variance are those of the mixture."""
    p = np.array([[[0.0, 1.0]], [[2.0, 3.0]]])
    assert regressor().combine(p) == pytest.approx(np.array([[1.0, 2.0 + 1.0]]))
    assert regressor().predict(p).tolist() == [1.0]
    u = regressor().uncertainty(p)
    assert (u.aleatoric.tolist(), u.epistemic.tolist(), u.total.tolist()) == ([2.0], [1.0], [3.0])


def test_calibrated_and_bare_means_can_be_mixed() -> None:
    """A mean that was calibrated has a variance; one that was not has none."""
    ensemble = regressor((Affine(number(1), number(0), number(0), number(4)), None), columns=1)
    assert ensemble.combine(np.array([[1.0, 2.0], [1.0, 2.0]])) == pytest.approx(np.array([[1.0, 2.0], [2.0, 2.0]]))


def test_regression_has_no_probabilities() -> None:
    """Asking for them is an error that says what to ask for."""
    with pytest.raises(UsageError, match="predict\\(\\) gives means"):
        regressor().predict_proba(np.zeros((2, 1, 2)))


def test_uncertainty_is_that_of_the_calibrated_members() -> None:
    """Total uncertainty is the entropy of what the ensemble predicts."""
    mixture = classifier().predict_proba(P)
    assert classifier().uncertainty(P).total == pytest.approx(-(mixture * np.log(mixture)).sum(axis=1))


def test_evaluates_itself() -> None:
    """A metric of the ensemble is that of its prediction."""
    metric, y = get_metric("log_loss"), RNG.integers(0, 3, 10)
    assert classifier().evaluate(metric, y, P) == metric(y, classifier().predict_proba(P))


def test_members_can_be_described_later() -> None:
    """Builders know rows; who knows the trials fills the rest in."""
    anonymous = classifier(members=(Member(1), Member(0)))
    known = [Member(9, "zero", {"a": 0}), Member(9, "one", {"a": 1}, "ckpt")]
    assert anonymous.named(known).members == (Member(1, "one", {"a": 1}, "ckpt"), Member(0, "zero", {"a": 0}))


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": np.array([0.5, 0.6])},
        {"weights": np.array([1.0, 0.0])},
        {"weights": np.array([1.0])},
        {"members": (), "weights": np.array([]), "calibrators": ()},
    ],
)
def test_nonsense_is_no_ensemble(changes: dict) -> None:
    """Weights are positive and sum to one, and there is one for each member."""
    with pytest.raises(ValueError, match=r"weight"):
        classifier(**changes)


CALIBRATED = {
    "classes": classifier(
        calibrators=(
            Scaling(RNG.random(3), RNG.normal(size=3)),
            Isotonic(np.tile([0.1, 0.9], 3), RNG.random(6), np.full(3, 2.0)),
        ),
        path=((1, 0.5), (2, float("nan"))),
        problems=("w-3: its predictions are lost",),
        builder="greedy",
        final=SHARPER,
    ),
    "numbers": regressor((Affine(*[number(x) for x in RNG.random(4)]), None)),
}


@pytest.mark.parametrize("kind", CALIBRATED)
def test_comes_back_from_a_file_exactly(kind: str, tmp_path: Path) -> None:
    """Everything is as it was, and the predictions are the same to the last bit."""
    ensemble, file = CALIBRATED[kind], tmp_path / "best.ensemble"
    ensemble.save(file)
    loaded = load_ensemble(file)
    p = P if kind == "classes" else RNG.random((2, 7, 2))
    assert np.array_equal(loaded.combine(p), ensemble.combine(p))
    assert loaded.members == ensemble.members
    assert loaded.as_dict() == ensemble.as_dict()
    assert [file.name for file in tmp_path.iterdir()] == ["best.ensemble"]


def test_a_fresh_process_reproduces_its_predictions_without_any_plugin(tmp_path: Path) -> None:
    """Loading needs aiohpo's core only."""
    file, ensemble = tmp_path / "e", CALIBRATED["classes"]
    ensemble.save(file)
    np.save(tmp_path / "p.npy", P)
    program = (
        "import sys, numpy as np, aiohpo\n"
        f"e = aiohpo.load_ensemble({str(file)!r})\n"
        f"np.save({str(tmp_path / 'out.npy')!r}, e.predict_proba(np.load({str(tmp_path / 'p.npy')!r})))\n"
        "assert not any(name.startswith('aiohpo_') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=600)
    assert np.array_equal(np.load(tmp_path / "out.npy"), ensemble.predict_proba(P))


def test_a_file_is_readable_without_aiohpo(tmp_path: Path) -> None:
    """It is a zip of JSON and arrays, with nothing pickled."""
    classifier().save(tmp_path / "e.zip")
    with zipfile.ZipFile(tmp_path / "e.zip") as archive:
        data = json.loads(archive.read("ensemble.json"))
        assert sorted(archive.namelist()) == [
            "calibrator.0.scale.npy",
            "calibrator.0.shift.npy",
            "ensemble.json",
            "weights.npy",
        ]
    assert data["members"][0] == {
        "row": 4,
        "trial": "w-1",
        "weight": 0.75,
        "config": {"lr": 0.1},
        "checkpoint": "abc",
        "calibrator": "scaling",
    }


def test_equal_ensembles_are_equal_files(tmp_path: Path) -> None:
    """There is no time in them."""
    for name in "ab":
        classifier().save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_is_no_ensemble_is_refused(tmp_path: Path) -> None:
    """No file, another file, a damaged one, one of a newer format: each a message that names it."""
    with pytest.raises(UsageError, match="there is no file"):
        load_ensemble(tmp_path / "none")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(UsageError, match="text is not a saved ensemble"):
        load_ensemble(tmp_path / "text")
    for name, content in (("other", "{}"), ("newer", json.dumps({"format": 99}))):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("ensemble.json", content)
    with pytest.raises(UsageError, match="not a saved ensemble"):
        load_ensemble(tmp_path / "other")
    with pytest.raises(UsageError, match="has format 99"):
        load_ensemble(tmp_path / "newer")


def test_an_array_with_a_pickle_in_it_is_not_loaded(tmp_path: Path) -> None:
    """Whoever wrote the file, nothing of it is executed."""
    classifier(calibrators=(None, None)).save(tmp_path / "good")
    with zipfile.ZipFile(tmp_path / "good") as good, zipfile.ZipFile(tmp_path / "bad", "w") as bad:
        bad.writestr("ensemble.json", good.read("ensemble.json"))
        with bad.open("weights.npy", "w") as file:
            np.lib.format.write_array(file, np.array([{"a": 1}, 2], dtype=object), allow_pickle=True)
    with pytest.raises(UsageError, match="not a saved ensemble"):
        load_ensemble(tmp_path / "bad")


def test_saving_where_one_cannot_says_so(tmp_path: Path) -> None:
    """The message names the file, and nothing is left behind."""
    with pytest.raises(UsageError, match="cannot write"):
        classifier().save(tmp_path / "missing" / "e")
