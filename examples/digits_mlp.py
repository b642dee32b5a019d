"""Tune a multilayer perceptron on handwritten digits (scikit-learn's bundled 8 x 8 images).

    aiohpo run examples/digits_mlp.py --workers 4 --trials 60

or, two trials at a time:

    python examples/digits_mlp.py --trials 30

The training goes epoch by epoch and reports each one, so a scheduler may stop or pause it anywhere.
"""

import argparse
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from aiohpo import Categorical, Float, Int, Space, Study

warnings.filterwarnings("ignore", category=ConvergenceWarning)

images, y = load_digits(return_X_y=True)
X_train, X_valid, y_train, y_valid = train_test_split(images / 16.0, y, test_size=0.4, random_state=0, stratify=y)
classes = np.unique(y)

# The training images, and each of them moved by one pixel to each side: five times as many.
moves = [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)]
X_train = np.concatenate([np.roll(X_train.reshape(-1, 8, 8), by, axis=(1, 2)).reshape(-1, 64) for by in moves])
y_train = np.tile(y_train, len(moves))

space = Space(
    learning_rate=Float(1e-4, 1e-1, log=True),
    width=Int(8, 128, log=True),
    depth=Int(1, 3),
    alpha=Float(1e-7, 1e-1, log=True),
    batch_size=Int(16, 256, log=True),
    activation=Categorical(["relu", "tanh"]),
    solver=Categorical(["adam", "sgd"]),
    momentum=Float(0.0, 0.99, when={"solver": "sgd"}),
)


def build(config):
    """Make an untrained network."""
    return MLPClassifier(
        hidden_layer_sizes=(config["width"],) * config["depth"],
        learning_rate_init=config["learning_rate"],
        alpha=config["alpha"],
        batch_size=config["batch_size"],
        activation=config["activation"],
        solver=config["solver"],
        momentum=config.get("momentum", 0.9),
        random_state=0,
    )


def train(trial):
    """Train for 27 epochs; after each one report how well the network does on the validation set."""
    model = trial.restore() or build(trial.config)  # None, unless the trial was paused before
    for _epoch in trial.steps():
        model.partial_fit(X_train, y_train, classes=classes)
        p = model.predict_proba(X_valid)
        if not np.isfinite(p).all():
            raise FloatingPointError("the weights have diverged")
        trial.report(accuracy=np.mean(classes[p.argmax(axis=1)] == y_valid), log_loss=log_loss(y_valid, p))
    if trial.ended:  # paused by the scheduler: this or another worker may go on from here
        trial.save(model)


study = Study(train, space, metric="accuracy", mode="max", max_steps=27, seed=0)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Tune an MLP on handwritten digits.")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--slots", type=int, default=2, help="trials at a time")
    options = parser.parse_args()
    result = study.run(trials=options.trials, slots=options.slots)
    best = result.best
    print(f"best accuracy {best.value:.4f} (log loss {best.metrics['log_loss']:.3f}) in trial {best.number} with")
    for name, value in best.config.items():
        print(f"  {name:<14} {value:.3g}" if isinstance(value, float) else f"  {name:<14} {value}")
