"""Tune a multilayer perceptron on the ``electricity`` data: does the price go up or down? Most configurations are
given up after a few epochs, the best ones are trained for 81.

    aiohpo run examples/mlp_electricity.py --algorithm abohb --workers 4 --trials 60
    aiohpo run examples/mlp_electricity.py --algorithm adbo --workers 4 --trials 16    # each for 81 epochs

or, two trials at a time:

    python examples/mlp_electricity.py --trials 60

A trial that is paused saves its network, optimiser and random state; when it is promoted, any worker goes on from
there, and ends up with the very network that one uninterrupted training would have given.

The data are looked for in the folder that AIOHPO_DATA names and in ../shared/data beside this repository, then on
OpenML. Where there is no way to get them, scikit-learn's handwritten digits take their place.
"""

import argparse
import os
import socket
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from sklearn.datasets import fetch_openml, load_digits
from sklearn.model_selection import train_test_split

from aiohpo import Float, Int, Space, Study

ROWS = 20_000  # to train on: enough to tell good from bad, and an epoch takes a tenth of a second


def find_data():
    """Return the inputs, the classes as 0, 1, … and where they are from."""
    for folder in (os.environ.get("AIOHPO_DATA"), Path(__file__).resolve().parents[2] / "shared" / "data"):
        file = folder and Path(folder) / "data_electricity.npz"
        if file and file.exists():
            with np.load(file) as data:
                return data["X"], data["y"], f"electricity from {file}"
    try:
        socket.create_connection(("api.openml.org", 443), timeout=2).close()
        found = fetch_openml("electricity", version=1, as_frame=False)
        return found.data, (found.target == "UP").astype(int), "electricity from OpenML"
    except Exception as error:  # no network, no OpenML today, a proxy's page instead of data
        digits = load_digits()
        return digits.data, digits.target, f"handwritten digits, as electricity is not to be had ({error})"


X, y, source = find_data()
valid = min(8_000, len(X) // 4)
X_train, X_valid, y_train, y_valid = train_test_split(
    X, y, train_size=min(ROWS, len(X) - valid), test_size=valid, random_state=0, stratify=y
)
mean, scale = X_train.mean(axis=0), X_train.std(axis=0) + 1e-6
X_train, X_valid = (((part - mean) / scale).astype(np.float32) for part in (X_train, X_valid))
n_classes = int(y.max()) + 1
print(f"data: {source}", file=sys.stderr)

space = Space(
    learning_rate=Float(1e-5, 1e-1, log=True),
    batch_size=Int(16, 256, log=True),
    units_1=Int(8, 256, log=True),
    units_2=Int(8, 256, log=True),
    dropout_1=Float(0.0, 0.9),
    dropout_2=Float(0.0, 0.9),
    weight_decay=Float(1e-7, 1e-1, log=True),
    initial_scale=Float(0.1, 10.0, log=True),
)


class Network:
    """Two hidden layers of rectified linear units with dropout, trained by AdamW."""

    def __init__(self, config):
        self.config = config
        self.rng = np.random.default_rng(0)
        sizes = [X_train.shape[1], config["units_1"], config["units_2"], n_classes]
        self.weights = []
        for inputs, outputs in pairwise(sizes):
            spread = config["initial_scale"] * np.sqrt(2 / inputs)
            self.weights += [self.rng.normal(0, spread, (inputs, outputs)).astype(np.float32)]
            self.weights += [np.zeros(outputs, np.float32)]
        self.means = [np.zeros_like(w) for w in self.weights]
        self.squares = [np.zeros_like(w) for w in self.weights]
        self.updates = 0

    def train_one_epoch(self):
        order = self.rng.permutation(len(X_train))
        for begin in range(0, len(order), self.config["batch_size"]):
            rows = order[begin : begin + self.config["batch_size"]]
            self.update(self.gradients(X_train[rows], y_train[rows]))

    def gradients(self, x, labels):
        keep = [1 - self.config["dropout_1"], 1 - self.config["dropout_2"]]
        inputs, masks = [x], []
        for layer, part in enumerate(keep):
            hidden = inputs[-1] @ self.weights[2 * layer] + self.weights[2 * layer + 1]
            mask = (hidden > 0) & (self.rng.random(hidden.shape, dtype=np.float32) < part)
            masks.append(mask / np.float32(part))
            inputs.append(hidden * masks[-1])
        error = softmax(inputs[-1] @ self.weights[4] + self.weights[5])
        error[np.arange(len(labels)), labels] -= 1
        error /= len(labels)
        found = []
        for layer in (2, 1, 0):
            found = [inputs[layer].T @ error, error.sum(axis=0), *found]
            if layer:
                error = (error @ self.weights[2 * layer].T) * masks[layer - 1]
        return found

    def update(self, gradients):
        self.updates += 1
        rate = self.config["learning_rate"]
        rate_now = rate * np.sqrt(1 - 0.999**self.updates) / (1 - 0.9**self.updates)
        for w, m, s, g in zip(self.weights, self.means, self.squares, gradients, strict=True):
            m += np.float32(0.1) * (g - m)
            s += np.float32(0.001) * (g * g - s)
            w *= np.float32(1 - rate * self.config["weight_decay"])
            w -= np.float32(rate_now) * m / (np.sqrt(s) + np.float32(1e-8))

    def predict_proba(self, x):
        for layer in (0, 1):
            x = np.maximum(x @ self.weights[2 * layer] + self.weights[2 * layer + 1], 0)
        return softmax(x @ self.weights[4] + self.weights[5])


def softmax(scores):
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def train(trial):
    """Train epoch by epoch, and report after each how well the network does on the validation set."""
    network = trial.restore() or Network(trial.config)  # None, unless the trial was paused before
    for _epoch in trial.steps():  # ends where the scheduler wants to compare before it spends more
        network.train_one_epoch()
        p = network.predict_proba(X_valid)
        log_loss = -np.log(np.maximum(p[np.arange(len(p)), y_valid], 1e-12)).mean()
        trial.report(accuracy=np.mean(p.argmax(axis=1) == y_valid), log_loss=log_loss)
    if trial.ended:  # paused: this or another worker may go on from here
        trial.save(network)


study = Study(train, space, metric="accuracy", mode="max", max_steps=81, scheduler="asha", seed=0)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Tune an MLP on the electricity data.")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--slots", type=int, default=2, help="trials at a time")
    options = parser.parse_args()
    result = study.run(trials=options.trials, slots=options.slots)
    best = result.best
    epochs = sum(trial.step for trial in result.trials)
    print(f"{epochs} epochs; best accuracy {best.value:.4f} after {best.step} of them in trial {best.number} with")
    for name, value in best.config.items():
        print(f"  {name:<14} {value:.3g}" if isinstance(value, float) else f"  {name:<14} {value}")
