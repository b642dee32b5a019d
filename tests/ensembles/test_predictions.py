"""Tests of gathering predictions: what is put right, and what is left out with a message."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo.ensembles.metrics import get_metric
from aiohpo.ensembles.predictions import check_targets, encode_targets, gather, task_of, usable
from aiohpo.errors import UsageError

LOG_LOSS, RMSE = get_metric("log_loss"), get_metric("rmse")
Y = np.array([0, 1, 2, 1])
GOOD = np.array([[0.8, 0.1, 0.1], [0.2, 0.6, 0.2], [0.1, 0.1, 0.8], [0.3, 0.4, 0.3]])


def test_good_predictions_pass_as_float32() -> None:
    """They keep their names and their order."""
    library = gather({"b": GOOD, "a": GOOD[::-1]}, Y, LOG_LOSS)
    assert library.names == ("b", "a")
    assert library.predictions.dtype == np.float32
    assert library.predictions[0] == pytest.approx(GOOD)
    assert library.y.tolist() == Y.tolist()
    assert library.problems == ()


BAD = {
    "short": (GOOD[:3], "3 rows of predictions for 4 targets"),
    "narrow": (np.full((4, 2), 0.5), "2 columns where the others have 3"),
    "nan": (np.where(np.eye(4, 3) > 0, np.nan, GOOD), "NaN or infinite"),
    "infinite": (np.where(np.eye(4, 3) > 0, np.inf, GOOD), "NaN or infinite"),
    "unscaled": (3 * GOOD, "do not sum to one"),
    "negative": (GOOD - [[0.5, -0.5, 0.0]], "negative in"),
    "lost": (None, "lost"),
    "text": (np.array([["x"] * 3] * 4), "not numbers"),
    "deep": (GOOD[:, :, None], "shape"),
    "empty": (np.empty((4, 0)), "shape"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_is_named_and_left_out(name: str) -> None:
    """One model's mistake is one line, and the others go on without it."""
    values, message = BAD[name]
    library = gather({"good": GOOD, name: values, "too": GOOD}, Y, LOG_LOSS)
    assert library.names == ("good", "too")
    assert len(library.problems) == 1
    assert library.problems[0].startswith(f"{name}: ")
    assert message in library.problems[0]


def test_nothing_usable_is_an_error_that_lists_everything() -> None:
    """Every model's problem is in the message."""
    with pytest.raises(UsageError, match=r"(?s)no predictions can be used.*lost.*nan"):
        gather({"lost": None, "nan": BAD["nan"][0]}, Y, LOG_LOSS)


def test_rounding_is_scaled_away() -> None:
    """Half precision is off by some per mille, which is nobody's mistake."""
    rough = (GOOD * [[1.002], [0.998], [1.0], [1.001]]).astype(np.float16)
    library = gather({"rough": rough}, Y, LOG_LOSS)
    assert library.predictions[0].sum(axis=1) == pytest.approx(np.ones(4), abs=1e-6)


def test_one_column_is_the_probability_of_the_second_class() -> None:
    """As scikit-learn's metrics have it; also as a column."""
    p = np.array([0.1, 0.9, 0.4])
    library = gather({"flat": p, "column": p[:, None]}, [0, 1, 0], LOG_LOSS)
    assert library.predictions[0] == pytest.approx(np.stack([1 - p, p], axis=1))
    assert np.array_equal(library.predictions[0], library.predictions[1])


def test_predicted_classes_are_certain_probabilities() -> None:
    """Whole numbers are classes, of as many as the other models or the targets know."""
    library = gather({"hard": np.array([0, 1, 2, 2], dtype=np.uint8), "soft": GOOD}, Y, LOG_LOSS)
    assert library.predictions[0].argmax(axis=1).tolist() == [0, 1, 2, 2]
    alone = gather({"hard": np.array([0, 1, 0, 1])}, [0, 1, 3, 1], LOG_LOSS)
    assert alone.predictions.shape == (1, 4, 4)


def test_predicted_classes_out_of_range_are_left_out() -> None:
    """A class that nobody else knows is a mistake."""
    library = gather({"soft": GOOD, "wild": np.array([0, 1, 7, 1])}, Y, LOG_LOSS)
    assert library.names == ("soft",)
    assert "range from 0 to 7" in library.problems[0]


def test_the_number_of_columns_is_the_majoritys() -> None:
    """It does not matter which model comes first."""
    library = gather({"odd": np.full((4, 4), 0.25), "a": GOOD, "b": GOOD}, Y, LOG_LOSS)
    assert library.names == ("a", "b")


def test_regression_takes_means_with_and_without_variances() -> None:
    """One column or two; more, or negative variances, are a mistake."""
    y = [1.0, 2.0]
    assert gather({"a": [1.0, 2.5]}, y, RMSE).predictions.shape == (1, 2, 1)
    two = gather({"a": [[1.0, 0.1], [2.0, 0.2]], "b": [[1, -1], [2, 1]], "c": [[1, 2, 3], [1, 2, 3]]}, y, RMSE)
    assert two.names == ("a",)
    assert "variances are negative in 1" in two.problems[0]
    assert "3 columns" in two.problems[1]


def test_labels_are_taken_in_sorted_order() -> None:
    """As scikit-learn's classifiers number their classes."""
    library = gather({"a": GOOD}, ["cat", "dog", "eel", "dog"], LOG_LOSS)
    assert library.y.tolist() == Y.tolist()
    assert library.labels == ("cat", "dog", "eel")


@pytest.mark.parametrize("y", [np.array([1, 2, 3, 2]), np.array([0.0, 1.0, 2.0, 1.0]), np.array([5, 7, 9, 7])])
def test_numbers_as_labels(y: np.ndarray) -> None:
    """Class numbers may begin anywhere as long as all classes occur."""
    assert encode_targets(y, 3)[0].tolist() == Y.tolist()


def test_truth_values_are_two_classes() -> None:
    """False is the first."""
    assert encode_targets(np.array([True, False]), 2)[0].tolist() == [1, 0]


def test_class_numbers_may_be_missing_but_labels_may_not() -> None:
    """Column numbers say which is which even if one is absent; names do not."""
    assert encode_targets(np.array([0, 2, 2]), 3)[0].tolist() == [0, 2, 2]
    with pytest.raises(UsageError, match="2 classes and predictions 3 columns"):
        encode_targets(np.array(["cat", "eel"]), 3)


@pytest.mark.parametrize(
    ("y", "task", "message"),
    [
        (None, "classification", "targets are missing"),
        ([], "classification", "shape"),
        ([[1, 2], [3, 4]], "regression", "shape"),
        (["a", "b"], "regression", "not numbers"),
        ([1.0, float("nan")], "regression", "1 values that are not finite"),
        ([None, 1], "classification", "give numbers or text"),
    ],
)
def test_targets_of_no_use_are_refused(y: object, task: str, message: str) -> None:
    """Without targets there is nothing to go by, so it is an error."""
    with pytest.raises(UsageError, match=message):
        check_targets(y, task)  # type: ignore[arg-type]  # parametrised


def test_targets_may_be_a_column() -> None:
    """An (n, 1) array is what many frameworks have."""
    assert check_targets([[1], [2]], "classification").shape == (2,)


def test_numbers_keep_their_digits() -> None:
    """What is predicted in regression may differ by little beside its size, or be too large for single precision."""
    library = gather({"a": 1e9 + np.array([0.25, 0.5]), "b": np.array([1e50, -1e50])}, [1.0, 2.0], RMSE)
    assert library.predictions[:, :, 0].tolist() == [[1e9 + 0.25, 1e9 + 0.5], [1e50, -1e50]]


def test_usable_does_not_copy_what_is_right() -> None:
    """Memory maps of float32 stay where they are."""
    p = GOOD.astype(np.float32)
    assert np.shares_memory(usable(p, 4, 3, "classification"), p)


def test_other_rows_have_the_same_classes() -> None:
    """A class that is missing in the test rows does not shift the others; an unknown one is an error."""
    valid = gather({"a": GOOD}, ["cat", "dog", "eel", "dog"], LOG_LOSS)
    assert gather({"a": GOOD[:2]}, ["eel", "cat"], LOG_LOSS, like=valid).y.tolist() == [2, 0]
    assert gather({"a": np.array([0, 1])}, ["dog", "cat"], LOG_LOSS, like=valid).predictions.shape == (1, 2, 3)
    with pytest.raises(UsageError, match="validation rows do not have: fox"):
        gather({"a": GOOD[:2]}, ["cat", "fox"], LOG_LOSS, like=valid)


PROBABILITIES, MEANS = np.full((4, 2), 0.5), np.array([[151.0, 9.0], [75.0, 4.0], [141.0, 7.0], [206.0, 9.0]])


@pytest.mark.parametrize(
    ("y", "predictions", "task"),
    [
        (["cat", "dog"], [], "classification"),
        ([True, False], [MEANS], "classification"),
        ([0, 1, 1, 0], [PROBABILITIES], "classification"),
        ([3.0, 5.0, 5.0, 3.0], [PROBABILITIES], "classification"),
        ([151.0, 75.0, 141.0, 206.0], [MEANS], "regression"),
        ([151, 75, 141, 206], [MEANS[:, 0]], "regression"),
        ([0, 1, 1, 0], [np.array([0.1, 0.9, 0.8, 0.3])], "classification"),
        ([0, 1, 1, 0], [np.array([0.1, 1.9, 0.8, 0.3])], "regression"),
        ([0, 1, 2, 0], [np.array([0, 1, 2, 1])], "classification"),
        ([0.5, 1.5], [np.array([0, 1])], "regression"),
        ([0.5, 1.5], [], "regression"),
        ([0, 7], [], "classification"),
        ([0, 1, 1, 0], [np.array([0.1, 1.9, 0.8, 0.3]), *2 * [np.array([0.1, 0.9, 0.8, 0.3])]], "classification"),
        ([0, 1, 2, 0], [5 * GOOD, GOOD, GOOD], "classification"),
        ([0, 1, 2, 0], [5 * GOOD], "classification"),
        ([3, 5, 7, 9], [PROBABILITIES, MEANS, MEANS[:, 0]], "regression"),
        ([0, 1, 1, 0], [np.full(4, np.nan), PROBABILITIES], "classification"),
        ([0, 1, 1, 0], [MEANS[:3], MEANS[:2, 0], PROBABILITIES], "classification"),
        ([0, 1, 1, 0], [np.array(["a"]), np.empty((4, 0)), None, PROBABILITIES], "classification"),
        ([0.5, 1.5, 2.0, 9.0], [PROBABILITIES, MEANS[:, 0]], "regression"),
    ],
)
def test_targets_and_predictions_tell_the_task(y: list, predictions: list, task: str) -> None:
    """Whole numbers may be classes or amounts: what most models predicted tells, and bad ones have no say."""
    assert task_of(y, predictions) == task


def test_if_all_have_the_same_problem_it_is_not_told_of_each() -> None:
    """The first few will do."""
    with pytest.raises(UsageError) as error:
        gather({f"trial {i}": 3 * GOOD for i in range(50)}, Y, LOG_LOSS)
    assert "and 47 more" in str(error.value)
    assert len(str(error.value)) < 500
