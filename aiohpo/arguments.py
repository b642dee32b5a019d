"""Answers to code that is written for another tool: ``Study(direction=…)``, ``trial.suggest_float(…)``.

Python's own errors name what was not expected. These also name what to write instead: the argument that means the same
here, the one that is spelt nearly so, or how the function is called.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from .errors import UsageError

Called = TypeVar("Called", bound=Callable[..., Any])
Class = TypeVar("Class", bound=type)

EXAMPLE = "*"  # the key of a call that fits, for those that have too many or too few arguments

# Words of Optuna, Ray Tune, scikit-optimize, Hyperopt, SMAC and ConfigSpace, and what to write instead. Words that mean
# the same are joined by blanks.
STUDY_ARGUMENTS = {
    "direction directions goal minimize maximize": "write mode='max' to maximise the metric, mode='min' to minimise it",
    "sampler search_alg algo algorithm optimizer": "write searcher='tpe', or another name that 'aiohpo plugins' lists",
    "pruner": "write scheduler='asha', or another name that 'aiohpo plugins' lists",
    "trials n_trials num_samples n_calls n_iter max_evals time timeout time_budget_s slots workers n_jobs "
    "max_concurrent_trials": "it belongs to the run: study.run(trials=100, time=3600, slots=4)",
    "random_state random_seed rng": "write seed=0",
    "storage study_name name local_dir storage_path load_if_exists": "write directory='runs/NAME', which also resumes",
    "search_space param_space param_distributions params config dimensions domain": "write space=Space(x=Float(0, 1))",
    "func function fn trainable": "write objective=…",
    "epochs max_epochs max_t max_iter max_resource budget": "write max_steps=…, the steps of a whole trial",
}
RUN_ARGUMENTS = {
    "n_trials num_samples n_calls n_iter max_evals max_trials budget": "write trials=100",
    "timeout time_budget_s time_limit max_time seconds": "write time=3600, in seconds",
    "workers n_jobs n_workers max_workers max_concurrent max_concurrent_trials": "write slots=4",
    "show_progress_bar progress_bar verbose": "write progress='bar', 'lines' or False",
    "catch": "a trial that raises has failed, and the search goes on: see Study(max_failures=…)",
    "callbacks callback": "write Study(…, callbacks=[…])",
    "objective func function fn": "write Study(objective, space)",
}
REPORT_ARGUMENTS = {EXAMPLE: "trial.report(0.5, step=3)"}
NUMBER_ARGUMENTS = {
    "lower min minimum lb start": "write low=…",
    "upper max maximum ub stop": "write high=…",
    "q quantization resolution": "write step=…",
    "prior scale log_scale distribution base": "write log=True to search the logarithm",
    "default_value init value": "write default=…",
    "condition conditions parent": "write when={'optimizer': 'sgd'}",
    "name": "the space names its parameters: Space(x=Float(0, 1))",
}
CHOICE_ARGUMENTS = {
    "values categories options items sequence": "write choices=[…]",
    "weights prior": "every choice is as likely as another",
    "default_value init": "write default=…",
    "condition conditions parent": "write when={'optimizer': 'sgd'}",
    "name": "the space names its parameters: Space(x=Categorical([…]))",
}
MODULE_NAMES = {
    "create_study Tuner fmin": "write study = aiohpo.Study(objective, space, mode='max')",
    "load_study": "write aiohpo.Study(objective, space, directory='runs/NAME'), which continues what is there",
    "FloatDistribution UniformDistribution LogUniformDistribution uniform loguniform Real": "write Float(low, high)",
    "IntDistribution IntUniformDistribution randint Integer": "write Int(low, high)",
    "CategoricalDistribution choice": "write Categorical([…])",
    "samplers": "write Study(…, searcher='tpe'), or another name that 'aiohpo plugins' lists",
    "pruners": "write Study(…, scheduler='asha'), or another name that 'aiohpo plugins' lists",
    "TrialPruned exceptions": "loop over trial.steps(), which ends when the trial should stop",
    "visualization": "write result.plot('history'), or another kind of plot",
    "logging": "write study.run(…, progress=False) for silence, 'lines' for a line per trial",
}
STUDY_ATTRIBUTES = {
    "optimize minimize maximize fit": "write study = Study(objective, space); study.run(trials=100)",
    "best_trial": "write study.best",
    "best_params best_config": "write study.best.config",
    "best_value": "write study.best.value",
    "trials": "write study.result.trials",
    "trials_dataframe": "write study.result.to_dataframe()",
    "enqueue_trial": "write study.enqueue({'x': 0.5})",
    "add_trial": "write study.add([({'x': 0.5}, value)])",
}
RESULT_ATTRIBUTES = {
    "best_trial best_result get_best_result": "write result.best",
    "best_params": "write result.best_config",
    "best_value": "write result.best.value",
    "trials_dataframe get_dataframe": "write result.to_dataframe()",
    "importances param_importances get_param_importances": "write result.importance()",
}
TRIAL_ATTRIBUTES = {
    "suggest_float suggest_int suggest_categorical suggest_uniform suggest_loguniform": "the study's Space says what "
    "is searched, and trial['x'] is the value",
    "params get items keys values": "the configuration is trial.config, a dict, and trial['x'] is one value of it",
    "should_prune should_stop": "write 'for step in trial.steps():', a loop that ends when the trial is to stop",
    "set_user_attr user_attrs": "write trial.note(name=value), or report it as a metric: trial.report(seconds=12.5)",
}
RECORD_ATTRIBUTES = {
    "params": "write trial.config",
    "values": "write trial.value, or trial.metrics for all of them",
    "state": "write trial.status",
    "duration": "write trial.seconds",
    "user_attrs": "write trial.notes, or trial.metrics for what was reported",
    "intermediate_values": "write trial.curve, or trial.curves for those of all metrics",
}


def explained(name: str, elsewhere: Mapping[str, str]) -> Callable[[Called], Called]:
    """Make a decorator with which a function answers a call that does not fit it by a UsageError with the remedy.

    Args:
        name: how users call the function, such as ``Study.run``.
        elsewhere: what to write instead of other tools' arguments, by their names.
    """
    advice = _by_word(elsewhere)

    def decorate(function: Called) -> Called:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except TypeError as error:
                inside = error.__traceback__ is not None and error.__traceback__.tb_next is not None
                if inside:  # the call fitted, and something else went wrong
                    raise
                raise UsageError(_why_it_does_not_fit(name, function, args, kwargs, advice)) from None

        return call  # type: ignore[return-value]  # it has the signature of what it wraps

    return decorate


def explained_class(
    arguments: Mapping[str, str] | None = None, attributes: Mapping[str, str] | None = None
) -> Callable[[Class], Class]:
    """Make a class decorator that does for the constructor what :func:`explained` does for a function, if there are
    ``arguments``, and says the same of ``attributes`` that the class does not have; these remain an AttributeError."""
    advice = _by_word(attributes or {})

    def lacks(self: object, name: str) -> Any:
        if hasattr(type(self), name):  # a property that raised an AttributeError of its own, which is the one to show
            return object.__getattribute__(self, name)
        text = f"{type(self).__name__!r} object has no attribute {name!r}"
        raise AttributeError(f"{text}; {advice[name]}" if name in advice else text, name=name, obj=self)

    def decorate(cls: Class) -> Class:
        if arguments is not None:
            cls.__init__ = explained(cls.__name__, arguments)(cls.__init__)  # type: ignore[misc]  # as dataclasses do
        if attributes is not None:
            cls.__getattr__ = lacks  # type: ignore[attr-defined]  # not in the class: mypy would believe in all names
        return cls

    return decorate


def explain_missing_name(name: str) -> str:
    """Say that the package has no such name, and what to write instead if another tool has it."""
    text = f"module 'aiohpo' has no attribute {name!r}"
    advice = _by_word(MODULE_NAMES)
    return f"{text}; {advice[name]}" if name in advice else text


def _by_word(elsewhere: Mapping[str, str]) -> dict[str, str]:
    return {word: instead for words, instead in elsewhere.items() for word in words.split()}


def _why_it_does_not_fit(
    name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], advice: Mapping[str, str]
) -> str:
    signature = inspect.signature(function)
    known = [p for p in signature.parameters.values() if p.name != "self"]
    names = [p.name for p in known if p.kind is not p.POSITIONAL_ONLY]
    for word in kwargs:
        if word not in names:
            close = difflib.get_close_matches(word, names, 1)
            there = f"did you mean {close[0]!r}?" if close else f"its arguments are: {', '.join(names)}"
            return f"{name} has no argument {word!r}; {advice.get(word, there)}"
    plain = [p.replace(annotation=p.empty) for p in known]
    call = f"{name}{signature.replace(parameters=plain, return_annotation=signature.empty)}"
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        example = f", such as {advice[EXAMPLE]}" if EXAMPLE in advice else ""
        return f"{name}: {error}; it is called as {call}{example}"
    return f"{name} is called as {call}"
