"""A run's trials in the formats of other tools: CSV, Parquet, JSON, an Optuna storage."""

from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from typing import IO, TYPE_CHECKING, Any, Literal

from ..errors import UsageError
from ..text import spreadsheet_cell
from ..view.trials import flat_record
from .tally import run_as_dict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..space.parameter import Parameter
    from ..storage.run import Run
    from ..view.trials import TrialRecord

OPTUNA = "optuna://"
# Attributes of an exported trial that a note of the same name must not replace.
_OWN_ATTRIBUTES = ("aiohpo_id", "worker", "seconds", "metrics", "error", "constants")
# Texts that those who read tables take for an empty cell.
_NOTHING = frozenset(["", "none", "null", "nan", "na", "n/a", "<na>", "#n/a"])


def table(run: Run) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns and rows, one row per trial; a parameter that is inactive in a trial has no entry in its row."""
    rows = [flat_record(record) for record in run.records()]
    # Parameters stand in the order of the space, whichever trial happens to come first.
    columns = dict.fromkeys(
        name for name in (rows[0] if rows else ()) if not name.startswith(("config.", "metric.", "note."))
    )
    columns |= dict.fromkeys(f"config.{name}" for name in run.view.space)
    columns |= dict.fromkeys(sorted({name for row in rows for name in row} - set(columns)))
    return list(columns), rows


def write_csv(run: Run, file: IO[str]) -> None:
    """One line per trial, empty where a trial has no such entry (and where a choice is None).

    Text is written for spreadsheets and terminals, see :func:`aiohpo.text.spreadsheet_cell`; JSON has it as it is. Of a
    parameter whose choices would look alike, such as 1 and "1", all values are written as JSON.
    """
    _write_rows(*_told_apart(run), file)


def write_curves_csv(run: Run, file: IO[str]) -> None:
    """One line per number that a trial reported on its way; a line of a metric that was not a number has no value."""
    _write_rows(*curves_table(run), file)


def _write_rows(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], file: IO[str]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(map(spreadsheet_cell, columns))
    for row in rows:
        cells = (row.get(name) for name in columns)
        writer.writerow([spreadsheet_cell(cell) if isinstance(cell, str) else cell for cell in cells])


def curves_table(run: Run) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns and rows of all curves in the long format: trial, metric, step, value."""
    rows = [
        {"number": r.number, "id": r.id, "metric": name, "step": step, "value": value if isfinite(value) else None}
        for r in run.records()
        for name, curve in r.curves.items()
        for step, value in sorted(curve.items())
    ]
    return ["number", "id", "metric", "step", "value"], rows


def write_json(run: Run, file: IO[str]) -> None:
    """The document of ``aiohpo show --json``."""
    json.dump(run_as_dict(run), file, indent=2, ensure_ascii=False)
    file.write("\n")


def write_parquet(run: Run, file: IO[bytes], *, curves: bool = False) -> None:
    """As CSV, typed. A parameter whose choices are of several types becomes text, its values written as JSON."""
    try:
        import pandas
        import pyarrow  # noqa: F401 - what pandas writes it with
    except ImportError:
        raise UsageError("parquet needs pandas and pyarrow: pip install 'aiohpo[pandas]'") from None
    columns, rows = curves_table(run) if curves else _told_apart(run)
    for name in columns:
        if any(isinstance(value := row.get(name), int) and not -(2**63) <= value < 2**63 for row in rows):
            for row in rows:
                row[name] = None if row.get(name) is None else json.dumps(row[name])
    pandas.DataFrame(rows, columns=columns).to_parquet(file, index=False)


def _told_apart(run: Run) -> tuple[list[str], list[dict[str, Any]]]:
    """The table, in which the values of a parameter are JSON texts where they would else look alike, and those of a
    note where they are lists or of several kinds."""
    columns, rows = table(run)
    for name in run.view.space:
        if _look_alike(run.view.space[name]):
            key = f"config.{name}"
            for row in rows:
                if key in row:
                    row[key] = json.dumps(row[key], ensure_ascii=False)
    for key in columns:
        if key.startswith("note.") and _is_mixed(row[key] for row in rows if key in row):
            for row in rows:
                if key in row:
                    row[key] = json.dumps(row[key], ensure_ascii=False)
    return columns, rows


def _is_mixed(notes: Iterable[Any]) -> bool:
    """Whether the values of a note are not all numbers, all texts or all truth values."""
    kinds = {float if type(note) is int else type(note) for note in notes}
    return len(kinds) > 1 or not kinds <= {float, str, bool}


def _look_alike(parameter: Parameter) -> bool:
    """Whether choices of a parameter, or None and a parameter that is inactive, are the same in a table's cell."""
    choices = getattr(parameter, "choices", ())
    kinds = {float if type(choice) is int else type(choice) for choice in choices}
    if None not in choices:
        return len(kinds) > 1
    nothing = any(isinstance(choice, str) and choice.strip().lower() in _NOTHING for choice in choices)
    return len(kinds) > 2 or nothing or bool(parameter.condition)


# ------------------------------------------------------------------------------------------------- Optuna
@dataclass(frozen=True, slots=True)
class OptunaExport:
    """What became of an export to an Optuna study.

    study  its name
    added  how many trials were added
    known  how many were there already
    notes  what Optuna cannot hold as it is
    """

    study: str
    added: int
    known: int
    notes: tuple[str, ...]


def to_optuna(run: Run, url: str, name: str | None = None) -> OptunaExport:
    """Add trials to a study of an Optuna storage, ``optuna://sqlite:///trials.db``.

    The study is made if it does not exist; trials that were exported before are not added again. Finished trials
    become COMPLETE, stopped and paused ones PRUNED, failed ones FAIL; curves become intermediate values. Trials that
    are queued, running or lost are left out. Raises ``UsageError``.
    """
    try:
        import optuna
    except ImportError:
        raise UsageError("exporting to Optuna needs it: pip install 'aiohpo[optuna]'") from None
    storage = url.removeprefix(OPTUNA)
    if "://" not in storage:
        raise UsageError(f"{url!r} is not a storage; write optuna://sqlite:///trials.db")
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
        known = {trial.user_attrs.get("aiohpo_id"): trial.state.name for trial in study.get_trials(deepcopy=False)}
        records = list(run.records())
        states = {record.id: _state(record) for record in records}
        records = [record for record in records if states[record.id]]
        new = [record for record in records if record.id not in known]
        parameters = {n: _OptunaParameter(optuna, n, run.view.space[n]) for n in run.view.space.names}
        try:
            study.add_trials([_optuna_trial(optuna, parameters, record, states[record.id]) for record in new])
        except ValueError as error:
            raise UsageError(
                f"the Optuna study {name!r} does not fit this space: {error}; give another --name"
            ) from error
    notes = [parameter.note for parameter in parameters.values() if parameter.note]
    if out := sum(not state for state in states.values()):
        notes.append(f"trials that have not ended were left out: {out}")
    if moved := sum(known.get(record.id, states[record.id]) != states[record.id] for record in records):
        notes.append(
            f"trials that continued after they were exported: {moved}. Optuna cannot change a trial that has ended; "
            "export under another --name"
        )
    return OptunaExport(name, len(new), len(records) - len(new), tuple(notes))


def _state(record: TrialRecord) -> str:
    """Optuna's name for the state of a trial; empty for one that has not ended."""
    if record.ended_as is None:
        return "PRUNED" if record.status in ("paused", "surplus") else ""
    return {"finished": "COMPLETE", "stopped": "PRUNED", "failed": "FAIL"}[record.ended_as]


def _optuna_trial(optuna: Any, parameters: Mapping[str, _OptunaParameter], record: TrialRecord, state: str) -> Any:
    tunable = [name for name in record.config if name in parameters]
    constants = {name: value for name, value in record.config.items() if name not in parameters}
    return optuna.trial.create_trial(
        state=optuna.trial.TrialState[state],
        value=record.value if state == "COMPLETE" else None,
        params={name: parameters[name].value(record.config[name]) for name in tunable},
        distributions={name: parameters[name].distribution for name in tunable},
        intermediate_values=record.curve,
        user_attrs={
            "aiohpo_id": record.id,
            "worker": record.worker,
            "seconds": record.seconds,
            "metrics": {k: v for k, v in record.metrics.items() if v == v and abs(v) != float("inf")},
            **({"error": record.error} if record.error else {}),
            **({"constants": constants} if constants else {}),
            **{f"note.{name}" if name in _OWN_ATTRIBUTES else name: note for name, note in record.notes.items()},
        },
    )


class _OptunaParameter:
    """A parameter as Optuna can hold it: its distribution, and a note where that is not all that it is.

    Optuna compares choices by ``==``, to which True is 1, so such choices become their texts. It ends the range of a
    step that is no decimal, such as 1/3, before the last level, so such a parameter becomes one without a step.
    """

    def __init__(self, optuna: Any, name: str, parameter: Parameter) -> None:
        kinds, scale = optuna.distributions, parameter.scale
        self.note = ""
        self._texts = False
        if not scale.numeric:
            choices = list(getattr(parameter, "choices", ()))
            self._texts = len(set(choices)) < len(choices)
            self.distribution = kinds.CategoricalDistribution([self.value(choice) for choice in choices])
            if self._texts:
                texts = ", ".join(map(repr, self.distribution.choices[:4]))
                self.note = f"{name}: to Optuna True is 1 and False is 0, so its choices were exported as text: {texts}"
            return
        made = kinds.FloatDistribution if parameter.native_type is float else kinds.IntDistribution
        with warnings.catch_warnings(record=True) as warned:  # that the steps do not end where the range does
            warnings.simplefilter("always")
            self.distribution = made(scale.first, scale.last, log=scale.log, step=scale.step)
        if warned:
            self.distribution = made(scale.first, scale.last)
            self.note = f"{name}: Optuna cannot hold steps of {scale.step!r}, so its range was exported without steps"

    def value(self, value: Any) -> Any:
        """A value of the parameter as Optuna gets it."""
        return repr(value) if self._texts else value


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


FORMATS: Sequence[str] = ("csv", "parquet", "json")
