"""Regression with variances: how large the largest cells of a tumour are, and how sure one can be.

    python examples/ensemble_regression.py

or, step by step,

    aiohpo run examples/ensemble_regression.py --workers 4 --trials 60
    aiohpo ensemble runs/ensemble_regression
    aiohpo plot runs/ensemble_regression --kind ensemble

The data are scikit-learn's: 569 tumours, of which averages over all cells are known; to be predicted is the logarithm
of the area of the largest. Each model predicts a mean and a variance. The ensemble's variance is what its members agree
cannot be known, and what they disagree about.
"""

import argparse

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import BayesianRidge
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import PolynomialFeatures

from aiohpo import Categorical, Float, Int, Space, Study

tumours = load_breast_cancer()
y = np.log(tumours.data[:, tumours.feature_names.tolist().index("worst area")])
X = tumours.data[:, :20]  # averages and their standard errors
X = (X - X.mean(axis=0)) / X.std(axis=0)
X_train, X_rest, y_train, y_rest = train_test_split(X, y, train_size=250, random_state=0)
X_valid, X_test, y_valid, y_test = train_test_split(X_rest, y_rest, train_size=150, random_state=0)

space = Space(
    model=Categorical(["process", "forest", "linear", "neighbours"]),
    length=Float(0.5, 50.0, log=True, when={"model": "process"}),
    noise=Float(0.1, 2.0, log=True, when={"model": "process"}),
    depth=Int(2, 12, when={"model": "forest"}),
    leaf=Int(1, 20, log=True, when={"model": "forest"}),
    degree=Int(1, 2, when={"model": "linear"}),
    shrink=Float(1e-6, 1e2, log=True, when={"model": "linear"}),
    neighbours=Int(2, 50, log=True, when={"model": "neighbours"}),
)


def process(c, X_new):
    """Gaussian process: the posterior's mean and variance."""
    kernel = RBF(c["length"]) + WhiteKernel(c["noise"])
    model = GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True).fit(X_train, y_train)
    mean, std = model.predict(X_new, return_std=True)
    return mean, std**2


def forest(c, X_new):
    """Random forest: mean and variance of the trees."""
    model = RandomForestRegressor(60, max_depth=c["depth"], min_samples_leaf=c["leaf"], random_state=0)
    each = np.array([tree.predict(X_new) for tree in model.fit(X_train, y_train).estimators_])
    return each.mean(axis=0), each.var(axis=0)


def linear(c, X_new):
    """Bayesian ridge regression on the measurements, and perhaps their products."""
    features = PolynomialFeatures(c["degree"])
    model = BayesianRidge(lambda_1=c["shrink"], lambda_2=c["shrink"]).fit(features.fit_transform(X_train), y_train)
    mean, std = model.predict(features.transform(X_new), return_std=True)
    return mean, std**2


def neighbours(c, X_new):
    """Mean and variance of the nearest tumours."""
    _, which = NearestNeighbors(n_neighbors=c["neighbours"]).fit(X_train).kneighbors(X_new)
    return y_train[which].mean(axis=1), y_train[which].var(axis=1)


def train(trial):
    """Train, leave means and variances for the ensemble, and return the error that the search minimises."""
    predict = {"process": process, "forest": forest, "linear": linear, "neighbours": neighbours}[trial["model"]]
    valid, test = (np.stack(predict(trial.config, new), axis=1) for new in (X_valid, X_test))
    trial.predictions(valid=valid, test=test)
    return root_mean_squared_error(y_valid, valid[:, 0])


study = Study(
    train,
    space,
    metric="rmse",
    directory="runs/ensemble_regression",
    targets={"valid": y_valid, "test": y_test},
    seed=0,
)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Tune regressors and make an ensemble of them.")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--slots", type=int, default=2, help="trials at a time")
    options = parser.parse_args()
    study.run(trials=options.trials, slots=options.slots)
