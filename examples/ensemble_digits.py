"""Handwritten digits: tune five kinds of classifiers, and make an ensemble of what the search has trained.

    python examples/ensemble_digits.py

or, step by step,

    aiohpo run examples/ensemble_digits.py --workers 4 --trials 60
    aiohpo ensemble runs/ensemble_digits --save digits.ensemble
    aiohpo plot runs/ensemble_digits --kind ensemble

Each trial leaves its predictions of the validation and the test images. The ensemble is built from the former, and
the latter, which no model has seen before, say what it is worth. Every worker knows the ensemble of what has finished
so far.
"""

import argparse
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier

from aiohpo import Categorical, Float, Int, Space, Study

warnings.filterwarnings("ignore", category=ConvergenceWarning)

images, labels = load_digits(return_X_y=True)
# Few and noisy images, so that there is something to be unsure about.
images = images / 16 + np.random.default_rng(0).normal(0, 0.35, images.shape)
X_train, X_rest, y_train, y_rest = train_test_split(images, labels, train_size=400, random_state=0, stratify=labels)
X_valid, X_test, y_valid, y_test = train_test_split(X_rest, y_rest, train_size=500, random_state=0, stratify=y_rest)

space = Space(
    model=Categorical(["net", "trees", "neighbours", "logistic", "bayes"]),
    width=Int(8, 128, log=True, when={"model": "net"}),
    learning_rate=Float(1e-3, 1e-1, log=True, when={"model": "net"}),
    alpha=Float(1e-5, 10.0, log=True, when={"model": "net"}),
    depth=Int(3, 20, when={"model": "trees"}),
    features=Float(0.05, 0.5, when={"model": "trees"}),
    neighbours=Int(1, 40, log=True, when={"model": "neighbours"}),
    strength=Float(1e-4, 1e2, log=True, when={"model": "logistic"}),
    smoothing=Float(1e-9, 1e-1, log=True, when={"model": "bayes"}),
)


def build(c):
    """Make the untrained model of a configuration."""
    if c["model"] == "net":
        return MLPClassifier(
            c["width"], learning_rate_init=c["learning_rate"], alpha=c["alpha"], max_iter=30, random_state=0
        )
    if c["model"] == "trees":
        return ExtraTreesClassifier(100, max_depth=c["depth"], max_features=c["features"], random_state=0)
    if c["model"] == "neighbours":
        return KNeighborsClassifier(c["neighbours"], weights="distance")
    if c["model"] == "logistic":
        return LogisticRegression(C=c["strength"], max_iter=100)
    return GaussianNB(var_smoothing=c["smoothing"])


def train(trial):
    """Train, leave predictions for the ensemble, and return the loss that the search minimises."""
    model = build(trial.config).fit(X_train, y_train)
    valid = model.predict_proba(X_valid)
    trial.predictions(valid=valid, test=model.predict_proba(X_test))
    return log_loss(y_valid, valid)


study = Study(
    train,
    space,
    metric="log_loss",
    directory="runs/ensemble_digits",
    targets={"valid": y_valid, "test": y_test},
    seed=0,
)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Tune classifiers of digits and make an ensemble of them.")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--slots", type=int, default=2, help="trials at a time")
    options = parser.parse_args()
    study.run(trials=options.trials, slots=options.slots)
