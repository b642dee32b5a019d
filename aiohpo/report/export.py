"""A run's trials in the formats of other tools: CSV, Parquet, JSON, an Optuna storage."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Literal

from ..errors import UsageError
from ..result import flat_record
from ..text import spreadsheet_cell
from .tally import run_as_dict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..space.space import Space
    from ..storage.run import Run
    from ..view.trials import TrialRecord

OPTUNA = "optuna://"


def table(run: Run) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns and rows, one row per trial; a parameter that is inactive in a trial has no entry in its row."""
    rows = [flat_record(record) for record in run.records()]
    # Parameters stand in the order of the space, whichever trial happens to come first.
    columns = dict.fromkeys(name for name in (rows[0] if rows else ()) if not name.startswith(("config.", "metric.")))
    columns |= dict.fromkeys(f"config.{name}" for name in run.view.space)
    columns |= dict.fromkeys(sorted({name for row in rows for name in row} - set(columns)))
    return list(columns), rows


def write_csv(run: Run, file: IO[str]) -> None:
    """One line per trial, empty where a trial has no such entry (and where a choice is None).

    Text is written for spreadsheets and terminals, see :func:`aiohpo.text.spreadsheet_cell`; JSON has it as it is.
    """
    columns, rows = table(run)
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(map(spreadsheet_cell, columns))
    for row in rows:
        cells = (row.get(name) for name in columns)
        writer.writerow([spreadsheet_cell(cell) if isinstance(cell, str) else cell for cell in cells])


def write_json(run: Run, file: IO[str]) -> None:
    """The document of ``aiohpo show --json``."""
    json.dump(run_as_dict(run), file, indent=2, ensure_ascii=False)
    file.write("\n")


def write_parquet(run: Run, file: IO[bytes]) -> None:
    """As CSV, typed. A parameter whose choices are of several types becomes text."""
    try:
        import pandas
        import pyarrow  # noqa: F401 - what pandas writes it with
    except ImportError:
        raise UsageError("parquet needs pandas and pyarrow: pip install 'aiohpo[pandas]'") from None
    columns, rows = table(run)
    frame = pandas.DataFrame(rows, columns=columns)
    for name in columns:
        kinds = {type(value) for row in rows if (value := row.get(name)) is not None}
        if len(kinds - {int, float}) > 1 or (bool in kinds and len(kinds) > 1) or (str in kinds and len(kinds) > 1):
            frame[name] = [None if (value := row.get(name)) is None else str(value) for row in rows]
    frame.to_parquet(file, index=False)


# ------------------------------------------------------------------------------------------------- Optuna
def to_optuna(run: Run, url: str, name: str | None = None) -> tuple[str, int, int]:
    """Add the ended trials to a study of an Optuna storage, ``optuna://sqlite:///trials.db``.

    The study is made if it does not exist; trials that were exported before are not added again. Returns its
    name, how many trials were added and how many were there. Finished trials become COMPLETE, stopped ones
    PRUNED, failed ones FAIL; curves become intermediate values. Raises ``UsageError``.
    """
    try:
        import optuna
    except ImportError:
        raise UsageError("exporting to Optuna needs it: pip install 'aiohpo[optuna]'") from None
    storage = url.removeprefix(OPTUNA)
    if "://" not in storage:
        raise UsageError(f"{url!r} names no storage; write optuna://sqlite:///trials.db")
    name = name or run.path.resolve().name
    direction: Literal["minimize", "maximize"] = "minimize" if run.view.objective.direction == "min" else "maximize"
    with _quiet(optuna):
        try:
            study = optuna.create_study(study_name=name, storage=storage, direction=direction, load_if_exists=True)
        except Exception as error:  # whatever the storage's driver raises
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UsageError(f"Optuna cannot open the storage {storage!r}: {reason}") from error
        if study.direction.name.lower() != direction:
            raise UsageError(
                f"the Optuna study {name!r} in {storage!r} is to {study.direction.name.lower()}, this run to "
                f"{direction}; give another name with --name"
            )
        known = {trial.user_attrs.get("aiohpo_id") for trial in study.get_trials(deepcopy=False)}
        ended = [r for r in run.records() if r.status in ("finished", "surplus", "stopped", "failed")]
        new = [record for record in ended if record.id not in known]
        try:
            study.add_trials([_optuna_trial(optuna, run.view.space, record) for record in new])
        except ValueError as error:
            raise UsageError(
                f"the Optuna study {name!r} does not fit this space: {error}; give another --name"
            ) from error
    return name, len(new), len(ended) - len(new)


def _optuna_trial(optuna: Any, space: Space, record: TrialRecord) -> Any:
    state = optuna.trial.TrialState
    tunable = {n: v for n, v in record.config.items() if space[n].tunable}
    complete = record.status in ("finished", "surplus")
    return optuna.trial.create_trial(
        state=state.COMPLETE if complete else state.PRUNED if record.status == "stopped" else state.FAIL,
        value=record.value if complete else None,
        params=tunable,
        distributions={n: _distribution(optuna, space, n) for n in tunable},
        intermediate_values=record.curve,
        user_attrs={
            "aiohpo_id": record.id,
            "worker": record.worker,
            "seconds": record.seconds,
            "metrics": {k: v for k, v in record.metrics.items() if v == v and abs(v) != float("inf")},
            **({"error": record.error} if record.error else {}),
            **({"constants": constants} if (constants := _constants(space, record)) else {}),
        },
    )


def _constants(space: Space, record: TrialRecord) -> dict[str, Any]:
    return {n: v for n, v in record.config.items() if not space[n].tunable}


def _distribution(optuna: Any, space: Space, name: str) -> Any:
    parameter, kinds = space[name], optuna.distributions
    scale = parameter.scale
    if not scale.numeric:
        import numpy as np

        return kinds.CategoricalDistribution(parameter.values(np.arange(float(parameter.levels or 0))))
    made = kinds.FloatDistribution if parameter.native_type is float else kinds.IntDistribution
    return made(scale.first, scale.last, log=scale.log, step=scale.step)


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


FORMATS: Sequence[str] = ("csv", "parquet", "json")
