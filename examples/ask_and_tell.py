"""Drive the search yourself: ``ask`` for configurations, evaluate them however you like, ``tell`` the outcome.

    python examples/ask_and_tell.py --trials 60

For programs that have a loop of their own: a batch system, a robot, a person in a laboratory. Here the own loop is
a pool of processes that is kept busy with two configurations at a time. What is outstanding is known to the search,
so asking twice never gives the same. Past experience is added first, and costs no trials.
"""

import argparse
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait

from sklearn.datasets import load_wine
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from aiohpo import Categorical, Float, Int, Space, Study

SCALERS = {"minmax": MinMaxScaler, "robust": RobustScaler, "standard": StandardScaler}

space = Space(
    model=Categorical(["neighbours", "bayes", "trees"]),
    scaler=Categorical(sorted(SCALERS)),
    k=Int(1, 40, log=True, when={"model": "neighbours"}),
    p=Float(1.0, 4.0, when={"model": "neighbours"}),
    smoothing=Float(1e-12, 1e-1, log=True, when={"model": "bayes"}),
    max_features=Float(0.1, 1.0, when={"model": "trees"}),
    min_leaf=Int(1, 20, log=True, when={"model": "trees"}),
)

# What a colleague tried last week: (configuration, accuracy), and None for what failed.
experience = [
    ({"model": "neighbours", "scaler": "standard", "k": 5, "p": 2.0}, 0.9552),
    ({"model": "neighbours", "scaler": "minmax", "k": 40, "p": 4.0}, None),
]


def evaluate(config):
    """Return the cross-validated accuracy on the wine data."""
    X, y = load_wine(return_X_y=True)
    if config["model"] == "neighbours":
        model = KNeighborsClassifier(config["k"], p=config["p"])
    elif config["model"] == "bayes":
        model = GaussianNB(var_smoothing=config["smoothing"])
    else:
        model = ExtraTreesClassifier(
            30, max_features=config["max_features"], min_samples_leaf=config["min_leaf"], random_state=0
        )
    return float(cross_val_score(make_pipeline(SCALERS[config["scaler"]](), model), X, y, cv=5).mean())


def main(trials, at_a_time):
    """Keep a pool busy and show each improvement as it comes."""
    study = Study(None, space, metric="accuracy", mode="max", seed=0)
    print(f"{study.add(experience)} past trials added")
    with ProcessPoolExecutor(at_a_time) as pool:
        running, asked_for, best = {}, 0, study.result.best.value
        while running or asked_for < trials:
            while len(running) < at_a_time and asked_for < trials:
                asked = study.ask()
                running[pool.submit(evaluate, asked.config)] = asked
                asked_for += 1
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                asked = running.pop(future)
                if future.exception():
                    study.tell(asked, error=str(future.exception()))
                    continue
                trial = study.tell(asked, future.result())
                if trial.value > best:
                    best = trial.value
                    print(f"trial {trial.number:>3}  {trial.value:.4f}  {trial.config}")
    print(study.result)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Tune classifiers of wine in a loop of one's own.")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--at-a-time", type=int, default=2)
    options = parser.parse_args()
    main(options.trials, options.at_a_time)
