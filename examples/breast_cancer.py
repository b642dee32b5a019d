"""Choose a model *and* its parameters for breast cancer diagnosis (scikit-learn's bundled Wisconsin data).

    python examples/breast_cancer.py --trials 40
    aiohpo run examples/breast_cancer.py --trials 100

The space is conditional: each family of models has parameters of its own, which exist only where that family is
chosen. The search starts warm: the defaults of scikit-learn are tried first, and everything else has to beat them.
"""

import argparse

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PowerTransformer, StandardScaler
from sklearn.svm import SVC

from aiohpo import Categorical, Float, Int, Space, Study

X, y = load_breast_cancer(return_X_y=True)
folds = StratifiedKFold(5, shuffle=True, random_state=0)

space = Space(
    model=Categorical(["linear", "svm", "boosting"]),
    scaling=Categorical(["standard", "power"], when={"model": ["linear", "svm"]}),
    C=Float(1e-3, 1e3, log=True, when={"model": ["linear", "svm"]}),
    gamma=Float(1e-5, 1.0, log=True, when={"model": "svm"}),
    trees=Int(20, 200, log=True, when={"model": "boosting"}),
    depth=Int(1, 5, when={"model": "boosting"}),
    learning_rate=Float(0.01, 1.0, log=True, when={"model": "boosting"}),
    subsample=Float(0.3, 1.0, step=0.1, when={"model": "boosting"}),
)

defaults = [
    {"model": "linear", "scaling": "standard", "C": 1.0},
    {"model": "svm", "scaling": "standard", "C": 1.0, "gamma": 1 / 30},
    {"model": "boosting", "trees": 100, "depth": 3, "learning_rate": 0.1, "subsample": 1.0},
]


def build(config):
    """Make the pipeline that a configuration describes."""
    if config["model"] == "boosting":
        return GradientBoostingClassifier(
            n_estimators=config["trees"],
            max_depth=config["depth"],
            learning_rate=config["learning_rate"],
            subsample=config["subsample"],
            random_state=0,
        )
    scaler = StandardScaler() if config["scaling"] == "standard" else PowerTransformer()
    if config["model"] == "svm":
        return make_pipeline(scaler, SVC(C=config["C"], gamma=config["gamma"], probability=True, random_state=0))
    return make_pipeline(scaler, LogisticRegression(C=config["C"], max_iter=2000))


def evaluate(trial):
    """Return the cross-validated log loss (what is minimised) and, for people, the accuracy."""
    scores = cross_validate(build(trial.config), X, y, cv=folds, scoring=["neg_log_loss", "accuracy"])
    return {"log_loss": -scores["test_neg_log_loss"].mean(), "accuracy": scores["test_accuracy"].mean()}


study = Study(evaluate, space, metric="log_loss", seed=0)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Choose a model for breast cancer diagnosis.")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--slots", type=int, default=2, help="trials at a time")
    options = parser.parse_args()

    warm = [study.enqueue(config) for config in defaults]
    result = study.run(trials=options.trials, slots=options.slots)

    done = [trial for trial in result.trials if trial.value is not None]
    print("model      tried  best log loss  default  accuracy")
    for family in space["model"].choices:
        of_family = [trial for trial in done if trial.config["model"] == family]
        if of_family:
            best = min(of_family, key=lambda trial: trial.value)
            default = next((f"{t.value:.4f}" for t in of_family if t.id in warm), "")
            print(f"{family:<9} {len(of_family):>6} {best.value:>14.4f} {default:>8} {best.metrics['accuracy']:>9.4f}")
    print(f"best: {result.best_config}")
