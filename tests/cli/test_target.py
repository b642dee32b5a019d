"""Loading the study that FILE[:OBJECT] names."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiohpo.cli.target import configure, default_directory, let_go, load_study, split_target
from aiohpo.errors import UsageError
from aiohpo.evaluate.program import StudyFile
from aiohpo.evaluate.reimport import MAIN

STUDY = """
import aiohpo

def objective(trial):
    return trial["x"]

study = aiohpo.Study(objective, aiohpo.Space(x=aiohpo.Float(0, 1)), searcher="random")
"""


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave the interpreter's modules and path as they were."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, MAIN, raising=False)
    yield
    sys.modules.pop(MAIN, None)


def write(tmp_path: Path, text: str, name: str = "train.py") -> str:
    file = tmp_path / name
    file.write_text(text)
    return str(file)


@pytest.mark.parametrize(
    ("target", "path", "name"),
    [
        ("train.py", "train.py", "study"),
        ("train.py:mine", "train.py", "mine"),
        ("dir/train.py:mine", "dir/train.py", "mine"),
        ("C:/train.py", "C:/train.py", "study"),
        ("train.py:", "train.py:", "study"),
        (":mine", ":mine", "study"),
    ],
)
def test_a_target_is_a_file_and_perhaps_a_name(target: str, path: str, name: str) -> None:
    """The name behind the last colon is the object; without one it is ``study``."""
    assert split_target(target) == (path, name)


def test_a_file_whose_name_has_a_colon_is_found(tmp_path: Path) -> None:
    """A colon that belongs to an existing file's name does not separate anything."""
    file = write(tmp_path, STUDY, "odd:name")
    assert split_target(file) == (file, "study")


def test_the_study_can_be_found_again_by_other_processes(tmp_path: Path) -> None:
    """The loaded study knows its file by absolute path, and its name there."""
    file = write(tmp_path, STUDY.replace("study =", "mine ="))
    assert load_study(f"{file}:mine")._source == StudyFile(file, "mine")


def test_a_run_at_the_end_of_the_file_does_not_run(tmp_path: Path) -> None:
    """An unguarded ``study.run()`` ends the import and nothing is evaluated."""
    study = load_study(write(tmp_path, STUDY + "study.run(trials=3)\nraise SystemExit('ran')\n"))
    assert study.result.trials == []


def test_what_follows_the_guard_does_not_run_either(tmp_path: Path) -> None:
    """The file is not ``__main__`` when it is imported."""
    load_study(write(tmp_path, STUDY + "if __name__ == '__main__':\n    raise SystemExit('ran')\n"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", "defines no study: add 'study = aiohpo.Study"),
        (STUDY.replace("study =", "mine ="), r"defines no 'study'; write .*train\.py:mine"),
        ("study = 3\n", "'study' in .* is not an aiohpo.Study but a int"),
        ("def study(trial):\n    return 1\n", "is not an aiohpo.Study but 'study', a callable"),
        ("import aiohpo\nimport nosuchmodule\n", "line 2: ModuleNotFoundError: No module named 'nosuchmodule'"),
        ("def f(:\n", "line 1: SyntaxError: "),
        ("1 / 0\n", "line 1: ZeroDivisionError: division by zero"),
        ("raise RuntimeError\n", r"line 1: RuntimeError$"),
        ("raise SystemExit('needs a GPU')\n", r"train\.py: needs a GPU$"),
        ("import sys\nsys.exit(3)\n", r"ended the program when it was imported \(exit status 3\)"),
        (
            "import aiohpo\naiohpo.Space(\n    x=aiohpo.Float(1, 0))\n",
            r"line 3: Float\(1.0, 0.0\): low must be below high",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    """Each fault of the user's file is one UsageError that names the file, the line and the fault."""
    with pytest.raises(UsageError, match=said):
        load_study(write(tmp_path, text))


def test_a_missing_file_is_answered_with_a_similar_one(tmp_path: Path) -> None:
    """Who forgets the suffix is told."""
    file = write(tmp_path, STUDY)
    with pytest.raises(UsageError, match=r"there is no file .*train'; there is .*train\.py'"):
        load_study(file.removesuffix(".py"))
    with pytest.raises(UsageError, match="it is a directory"):
        load_study(str(tmp_path))


def test_what_was_given_overrides_what_the_file_says(tmp_path: Path) -> None:
    """Options replace the study's own settings; those not given leave them alone."""
    study = load_study(write(tmp_path, STUDY))
    configure(study, directory=tmp_path / "run", searcher="grid:resolution=3", scheduler=None, seed=7)
    assert (study.directory, study.searcher, study.scheduler, study.seed) == (
        tmp_path / "run",
        "grid:resolution=3",
        "fifo",
        7,
    )


class Picky:
    """A searcher and a scheduler that can serve nothing."""

    def setup(self, *study: object) -> None:
        raise ValueError("needs max_steps: Study(..., max_steps=27)")

    ask = next = on_report = setup


@pytest.mark.parametrize("kind", ["searcher", "scheduler"])
def test_what_a_plugin_has_against_a_study_is_said_at_once(kind: str, tmp_path: Path) -> None:
    """Its words, with its name; it is only tried, and not changed, by being asked."""
    study = load_study(write(tmp_path, STUDY))
    setattr(study, kind, Picky())
    with pytest.raises(UsageError, match=rf"^{kind} .*Picky.*: needs max_steps: Study\(..., max_steps=27\)$"):
        configure(study, directory=None, searcher=None, scheduler=None, seed=None)


def test_the_default_directory_is_named_after_the_file() -> None:
    """Two studies of one file get directories of their own."""
    assert default_directory("src/train.py") == Path("runs/train")
    assert default_directory("src/train.py:second") == Path("runs/train-second")


LARGE = """
import aiohpo
from beside import Data

DATA = Data()

def objective(trial):
    return DATA.value

study = aiohpo.Study(objective, aiohpo.Space(x=aiohpo.Float(0, 1)), searcher="random"%s)
"""


@pytest.mark.parametrize(
    ("options", "evaluates", "kept"),
    [
        ("", True, False),
        ("", False, False),
        (", evaluator='process'", True, False),
        (", evaluator='thread'", False, False),
        (", evaluator='thread'", True, True),
        (", callbacks=[print]", True, True),
    ],
)
def test_data_of_the_file_goes_unless_this_process_runs_code_of_it(
    tmp_path: Path, options: str, evaluates: bool, kept: bool
) -> None:
    """What the file has loaded, and what it imported from beside it, is not held a second time by who only searches."""
    (tmp_path / "beside.py").write_text("class Data: value = 1.0\n")
    study = load_study(write(tmp_path, LARGE % options))
    data = weakref.ref(sys.modules[MAIN].DATA)
    forget = let_go(study, evaluates=evaluates)
    _ = study._definition
    assert data() is not None
    forget()
    assert (data() is not None) == kept
    assert ("beside" in sys.modules) == kept
    assert "__main__" in sys.modules
    sys.modules.pop("beside", None)
    if not kept:
        assert "objective" in study._task().title
        with pytest.raises(RuntimeError, match="'objective' runs in other processes only"):
            study.objective(None)  # type: ignore[misc]
