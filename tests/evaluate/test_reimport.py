"""Finding an objective again from another process."""

from __future__ import annotations

import functools
import importlib.util
import json
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from aiohpo.errors import UsageError
from aiohpo.evaluate.program import Program, StudyFile
from aiohpo.evaluate.reimport import MAIN, become_main, describe, file_of, find_objective, import_source, rebuild
from tests.support import evaluate_objectives


class Holder:
    @classmethod
    def objective(cls, trial: Any) -> float:
        return 1.0

    def method(self, trial: Any) -> float:
        return 1.0


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what loading files does to this process."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(sys.modules, MAIN, sys.modules["__main__"])
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.delitem(sys.modules, MAIN)


def write(path: Path, text: str) -> Path:
    path.write_text(textwrap.dedent(text))
    return path


def there_and_back(program: Program) -> Program:
    description, pickled = describe(program)
    return rebuild(json.loads(json.dumps(description)), pickled)


@pytest.mark.parametrize("function", [evaluate_objectives.double, Holder.objective, len])
def test_what_a_module_defines_is_found_again(function: Any) -> None:
    """Functions, class methods and builtins at top level survive the way through plain data."""
    again = there_and_back(Program(function, "auc", 9))
    assert again.function == function
    assert (again.metric, again.max_steps) == ("auc", 9)


def test_dump_and_load_come_along() -> None:
    """The checkpoint format is found in the same way."""
    again = there_and_back(Program(evaluate_objectives.double, dump=pickle.dumps, load=pickle.loads))
    assert again.dump is pickle.dumps
    assert again.load is pickle.loads


def local() -> Any:
    return lambda trial: 1.0


class Called:
    def __call__(self, trial: Any) -> float:
        return float(len(trial))


@pytest.mark.parametrize("function", [lambda trial: 1.0, local(), Holder().method, functools.partial(len), Called()])
def test_what_no_name_leads_to_is_sent_as_it_is(function: Any) -> None:
    """Closures, lambdas, bound methods and objects; their module is imported for what they refer to."""
    description, pickled = describe(Program(function, dump=lambda obj: b"d", load=pickle.loads))
    assert description["module"] == (None if isinstance(function, functools.partial) else [__name__, __file__, "", ""])
    assert description["function"] is None
    again = rebuild(description, pickled)
    assert again.function is not None
    assert again.function("x") == 1.0
    assert again.dump is not None
    assert again.dump(0) == b"d"
    assert again.load is pickle.loads


def test_a_function_whose_name_means_another_one_now_is_sent_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child would import the other one."""
    original = evaluate_objectives.double
    monkeypatch.setattr(evaluate_objectives, "double", len)
    again = there_and_back(Program(original))
    assert again.function not in (None, len)


def test_a_prompt_is_told_from_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was typed into a notebook has no file to import."""
    monkeypatch.setattr(evaluate_objectives.double, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "double", evaluate_objectives.double, raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "<stdin>", raising=False)
    description, pickled = describe(Program(evaluate_objectives.double))
    assert file_of(description) == ""
    assert pickled


def test_a_module_that_has_no_name_in_the_child_is_imported_from_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a test is that was loaded from its path: what its lambda refers to is found there."""
    file = write(tmp_path / "aiohpo_by_path.py", "def helper(): return 3\nobjective = lambda trial: helper()\n")
    spec = importlib.util.spec_from_file_location("aiohpo_by_path", file)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "aiohpo_by_path", module)
    spec.loader.exec_module(module)
    described = describe(Program(module.objective))
    del sys.modules["aiohpo_by_path"]
    assert rebuild(*described).function(None) == 3


def test_a_file_is_loaded_with_its_neighbours(tmp_path: Path) -> None:
    """The file's directory comes first on the path, and its __main__ block does not run."""
    write(tmp_path / "aiohpo_test_neighbour.py", "VALUE = 7\n")
    file = write(
        tmp_path / "train.py",
        """
        from aiohpo_test_neighbour import VALUE
        def objective(trial): return VALUE
        if __name__ == "__main__":
            raise SystemExit("ran as a program")
        """,
    )
    assert import_source(StudyFile(str(file), "objective"))(None) == 7
    assert sys.path[0] == str(tmp_path)
    del sys.modules["aiohpo_test_neighbour"]


def test_a_file_that_runs_its_study_is_used_up_to_there(tmp_path: Path) -> None:
    """An unguarded study.run() does not recurse: the import ends, and what was defined counts."""
    file = write(
        tmp_path / "train.py",
        """
        import aiohpo
        def objective(trial): return trial["x"]
        study = aiohpo.Study(objective, aiohpo.Space(x=aiohpo.Float(0, 1)), metric="auc", max_steps=3)
        try:
            study.run(trials=3)
        except Exception:
            pass
        late = 1
        """,
    )
    found = find_objective(StudyFile(str(file)))
    assert (found.metric, found.max_steps) == ("auc", 3)
    assert found.function is not None
    assert found.function({"x": 3}) == 3
    with pytest.raises(UsageError, match="defines no 'late'; it defines aiohpo, objective, study"):
        import_source(StudyFile(str(file), "late"))


def test_a_source_may_hold_what_no_name_leads_to(tmp_path: Path) -> None:
    """A study's lambda, and its dump and load, are found through the study."""
    file = write(
        tmp_path / "train.py",
        """
        import aiohpo
        study = aiohpo.Study(lambda trial: 5, aiohpo.Space(x=aiohpo.Float(0, 1)),
                             dump=lambda obj: b"d", load=lambda data: "l")
        """,
    )
    again = there_and_back(Program(len, "auc", 2, source=StudyFile(str(file))))
    assert again.function is not None
    assert again.dump is not None
    assert again.load is not None
    assert (again.function(None), again.dump(0), again.load(b"")) == (5, b"d", "l")
    assert again.metric == "auc"


@pytest.mark.parametrize(
    ("name", "message"),
    [("study", "defines no 'study'; it defines answer"), ("answer", "neither a study nor a function")],
)
def test_a_source_without_an_objective_says_what_there_is(tmp_path: Path, name: str, message: str) -> None:
    """A wrong name and a wrong kind of thing are different errors."""
    file = write(tmp_path / "train.py", "answer = 42\n")
    with pytest.raises(UsageError, match=message):
        find_objective(StudyFile(str(file), name))


def test_a_missing_file_is_named() -> None:
    """No such file, no traceback."""
    with pytest.raises(UsageError, match=r"no such file: 'nowhere\.py'"):
        import_source(StudyFile("nowhere.py"))


def test_what_the_file_raises_passes_through(tmp_path: Path) -> None:
    """The user's own error is the user's to read, and nothing half-imported stays behind."""
    file = write(tmp_path / "train.py", "1/0\n")
    with pytest.raises(ZeroDivisionError):
        import_source(StudyFile(str(file)))
    assert MAIN not in sys.modules


def test_a_script_may_have_any_name(tmp_path: Path) -> None:
    """A file without .py is as good."""
    file = write(tmp_path / "train", "def study(trial): return 1\n")
    assert find_objective(StudyFile(str(file))).function is not None


SCRIPT = """
    import asyncio, contextlib, dataclasses, pathlib, sys
    import aiohpo
    from aiohpo.storage.blob_store import DirectoryBlobs
    from aiohpo.evaluate.program import Program
    from aiohpo.evaluate.process.evaluator import ProcessEvaluator
    from aiohpo.plugin import Assignment, Decision
    {extra}

    @dataclasses.dataclass
    class State:
        value: int

    def objective(trial):
        trial.save(State(41))
        print("main is", sys.modules["__main__"].__file__)
        return trial.restore().value + 1

    class Channel:
        def report(self, step, metrics): return Decision.CONTINUE
        def save(self, step, digest, size): self.digest = digest
        def log(self, text): print(text, end="")
        def untimed(self): return contextlib.nullcontext()
        def notice(self, text): print(text)

    async def main():
        evaluator, channel = ProcessEvaluator(), Channel()
        store = DirectoryBlobs(pathlib.Path(sys.argv[1]))
        await evaluator.start(Program(objective, secret=b"key"), store)
        print((await evaluator.run(Assignment("w.1", 1, {{}}), channel)).metrics)
        from aiohpo.evaluate.trial import Trial
        again = Assignment("w.1", 1, {{}}, checkpoint=channel.digest)
        print(Trial(again, channel, store, Program(None, secret=b"key")).restore())
        await evaluator.aclose()

    if __name__ == "__main__":
        asyncio.run(main())
"""


@pytest.mark.smoke
def test_a_script_run_as_a_program_is_found_and_its_pickles_load_on_both_sides(tmp_path: Path) -> None:
    """The objective of ``python train.py`` is imported from the file; classes pickled there load here."""
    file = write(tmp_path / "train.py", SCRIPT.format(extra=""))
    done = subprocess.run(
        [sys.executable, str(file), str(tmp_path / "blobs")], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [f"main is {file}", "{'loss': 42.0}", "State(value=41)"]


@pytest.mark.smoke
def test_a_module_run_as_a_program_keeps_its_relative_imports(tmp_path: Path) -> None:
    """The objective of ``python -m package.train`` may import its siblings."""
    (tmp_path / "package").mkdir()
    write(tmp_path / "package" / "__init__.py", "")
    write(tmp_path / "package" / "sibling.py", "VALUE = 1\n")
    write(tmp_path / "package" / "train.py", SCRIPT.format(extra="from .sibling import VALUE"))
    done = subprocess.run(
        [sys.executable, "-m", "package.train", str(tmp_path / "blobs")],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        cwd=tmp_path,
    )
    assert done.stderr == ""
    assert "{'loss': 42.0}" in done.stdout


def test_the_files_classes_can_be_pickled_though_it_imports_multiprocessing(tmp_path):
    """What a file defines is found under its module's name, whatever the file imports on the way."""
    file = tmp_path / "trains.py"
    file.write_text("import multiprocessing\nclass Network: pass\ndef objective(trial): return 0.0\n")
    code = (
        "import pickle, sys\nfrom aiohpo.evaluate.program import StudyFile\n"
        "from aiohpo.evaluate.reimport import find_objective\n"
        f"o = find_objective(StudyFile({str(file)!r}, 'objective'))\n"
        "pickle.loads(pickle.dumps(o.function.__globals__['Network']()))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)


def test_a_changed_file_is_imported_as_it_was(tmp_path: Path) -> None:
    """The text that the worker read wins over what the file has become, for the file itself and for what it imports."""
    helper = write(tmp_path / "aiohpo_test_helper.py", "VALUE = 'new'\n")
    file = write(tmp_path / "train.py", "def study(")
    texts = {
        str(file): b"from aiohpo_test_helper import VALUE\ndef study(trial): return VALUE\n",
        str(helper): b"VALUE = 'old'\n",
    }
    before = list(sys.meta_path)
    try:
        made = rebuild(*describe(Program(len, source=StudyFile(str(file)))), texts)
    finally:
        sys.meta_path[:] = before
        sys.modules.pop("aiohpo_test_helper", None)
    assert made.function is not None
    assert made.function(None) == "old"


def test_becoming_main_without_a_users_file_changes_nothing() -> None:
    """A study that was imported by its module's name is found by it."""
    main = sys.modules["__main__"]
    become_main()
    assert sys.modules["__main__"] is main
