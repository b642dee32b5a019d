"""Tune a PyTorch network on handwritten digits; a checkpoint is what ``torch.save`` makes of it.

    pip install torch
    aiohpo run examples/pytorch_mlp.py --algorithm bohb --workers 4 --trials 60

or, two trials at a time:

    python examples/pytorch_mlp.py --trials 30

``Study(dump=…, load=…)`` says how a checkpoint becomes bytes and an object again. Weights, the state of the optimiser
and that of the random generator travel together, so a training that was paused ends where it would have ended anyway.
"""

import argparse
import io

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from aiohpo import Categorical, Float, Int, Space, Study

try:
    import torch
    from torch import nn
except ImportError:
    raise SystemExit("this example needs PyTorch: pip install torch") from None

torch.set_num_threads(1)  # evaluations share the cores; each has its own

images, digits = load_digits(return_X_y=True)
X, X_valid, y, y_valid = (
    torch.as_tensor(part)
    for part in train_test_split(images.astype("float32") / 16, digits, test_size=0.4, random_state=0, stratify=digits)
)

space = Space(
    learning_rate=Float(1e-5, 1e-1, log=True),
    width=Int(8, 256, log=True),
    dropout=Float(0.0, 0.8),
    batch_size=Int(16, 256, log=True),
    optimiser=Categorical(["sgd", "adam"]),
    momentum=Float(0.0, 0.99, when={"optimiser": "sgd"}),
)


def dump(state):
    """Make bytes of a checkpoint."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def load(data):
    """Read a checkpoint, whatever the device that it was saved on."""
    return torch.load(io.BytesIO(data), map_location="cpu")


def build(config):
    """Make an untrained network and its optimiser."""
    network = nn.Sequential(
        nn.Linear(64, config["width"]), nn.ReLU(), nn.Dropout(config["dropout"]), nn.Linear(config["width"], 10)
    )
    if config["optimiser"] == "adam":
        return network, torch.optim.Adam(network.parameters(), config["learning_rate"])
    return network, torch.optim.SGD(network.parameters(), config["learning_rate"], momentum=config["momentum"])


def train(trial):
    """Train epoch by epoch; after each one report how well the network does on the validation set."""
    torch.manual_seed(0)
    network, optimiser = build(trial.config)
    saved = trial.restore()
    if saved is not None:  # the trial was paused, here or on another worker
        network.load_state_dict(saved["network"])
        optimiser.load_state_dict(saved["optimiser"])
        torch.set_rng_state(saved["random"])
    for _epoch in trial.steps():
        network.train()
        for rows in torch.randperm(len(X)).split(trial["batch_size"]):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(X[rows]), y[rows]).backward()
            optimiser.step()
        network.eval()
        with torch.no_grad():
            scores = network(X_valid)
        trial.report(
            accuracy=(scores.argmax(dim=1) == y_valid).float().mean().item(),
            log_loss=nn.functional.cross_entropy(scores, y_valid).item(),
        )
    if trial.ended:  # paused by the scheduler
        trial.save(
            {
                "network": network.state_dict(),
                "optimiser": optimiser.state_dict(),
                "random": torch.get_rng_state(),
            }
        )


study = Study(train, space, metric="accuracy", mode="max", max_steps=27, scheduler="asha", dump=dump, load=load, seed=0)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Tune a PyTorch network on handwritten digits.")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--slots", type=int, default=2, help="trials at a time")
    options = parser.parse_args()
    best = study.run(trials=options.trials, slots=options.slots).best
    print(f"best accuracy {best.value:.4f} after {best.step} epochs in trial {best.number} with")
    for name, value in best.config.items():
        print(f"  {name:<14} {value:.3g}" if isinstance(value, float) else f"  {name:<14} {value}")
