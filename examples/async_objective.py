"""Tune something that runs elsewhere, with an ``async def`` objective: 64 trials at a time in one event loop.

    python examples/async_objective.py --trials 200

The elsewhere is a training service on the other end of a socket, which here is a coroutine on the loopback
interface: it takes a configuration as a line of JSON, trains a logistic regression on real data, pretends that an
epoch takes a while, and answers with a line per epoch. All that a slot does in the meantime is await, so a single
worker keeps hundreds of trainings going and this program needs hardly any processor time itself.
"""

import argparse
import asyncio
import json
import time

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from aiohpo import Categorical, Float, Space, Study

EPOCHS = 12
SECONDS_PER_EPOCH = 0.05

X, y = load_breast_cancer(return_X_y=True)
X_train, X_valid, y_train, y_valid = train_test_split(StandardScaler().fit_transform(X), y, random_state=0)

space = Space(
    learning_rate=Float(1e-3, 10.0, log=True),
    l2=Float(1e-6, 1.0, log=True),
    optimizer=Categorical(["sgd", "momentum"]),
    momentum=Float(0.1, 0.99, when={"optimizer": "momentum"}),
)


# --------------------------------------------------------------------------- the service, which is somewhere else
async def serve_training(reader, writer):
    """Train what the client asks for; stop when it hangs up."""
    line = await reader.readline()
    if not line:  # the search ended before this trial began
        writer.close()
        return
    config = json.loads(line)
    weights, velocity = np.zeros(X.shape[1]), 0.0
    try:
        for epoch in range(1, EPOCHS + 1):
            for batch in np.array_split(np.arange(len(X_train)), 8):
                error = sigmoid(X_train[batch] @ weights) - y_train[batch]
                slope = X_train[batch].T @ error / len(batch) + config["l2"] * weights
                velocity = config.get("momentum", 0.0) * velocity - config["learning_rate"] * slope
                weights = weights + velocity
            p = np.clip(sigmoid(X_valid @ weights), 1e-7, 1 - 1e-7)
            loss = -np.mean(y_valid * np.log(p) + (1 - y_valid) * np.log(1 - p))
            await asyncio.sleep(SECONDS_PER_EPOCH * np.random.default_rng(epoch).uniform(0.5, 1.5))
            writer.write(json.dumps({"epoch": epoch, "loss": loss}).encode() + b"\n")
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


def sigmoid(z):
    """Logistic function, without overflow."""
    return 1 / (1 + np.exp(-np.clip(z, -30, 30)))


# -------------------------------------------------------------------------------------------------- the objective
def remote_training(host, port):
    """Return an objective that trains at ``host:port``."""

    async def train(trial):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(json.dumps(trial.config).encode() + b"\n")
            for _epoch in trial.steps():
                trial.report(json.loads(await reader.readline())["loss"])
        finally:
            writer.close()  # also when the trial is stopped or the search cancelled: the service notices

    return train


async def main(trials, slots):
    """Start the service, search, and say how the time went."""
    service = await asyncio.start_server(serve_training, "127.0.0.1", 0)
    async with service:
        objective = remote_training(*service.sockets[0].getsockname())
        study = Study(objective, space, metric="loss", max_steps=EPOCHS, seed=0)
        began = time.perf_counter()
        result = await study.arun(trials=trials, slots=slots)
        took = time.perf_counter() - began

    waited = sum(trial.seconds or 0.0 for trial in result.trials)
    print(f"{len(result.trials)} trainings of {waited:.1f} s altogether took {took:.1f} s in {slots} slots")
    print(f"best loss {result.best.value:.4f}, epoch by epoch: ", end="")
    print(" ".join(f"{loss:.3f}" for _, loss in sorted(result.best.curve.items())))
    for name, value in result.best.config.items():
        print(f"  {name} = {value}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Tune a remote training service.")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--slots", type=int, default=64, help="trainings at a time")
    options = parser.parse_args()
    asyncio.run(main(options.trials, options.slots))
