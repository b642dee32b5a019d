"""A user's file as ``__main__`` of the process that evaluates it: what ships functions to other processes works."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from pathlib import Path

import pytest

from aiohpo.evaluate.process.evaluator import ProcessEvaluator
from aiohpo.evaluate.program import Program, StudyFile
from aiohpo.plugin import Outcome
from aiohpo.storage.blob_store import DirectoryBlobs
from tests.support.evaluate_objectives import Recorder, assignment

pytestmark = pytest.mark.smoke

FILE = """
    import collections, concurrent.futures, dataclasses, enum, functools, multiprocessing, pickle, pathlib
    import cloudpickle, joblib
    import aiohpo

    class Kind(enum.Enum):
        SQUARE = 2

    Pair = collections.namedtuple("Pair", "x y")

    @dataclasses.dataclass
    class Model:
        value: int

        class Part:
            @staticmethod
            def double(x):
                return 2 * x

        @classmethod
        def make(cls, value):
            return cls(value)

        def predict(self, x):
            return x ** Kind.SQUARE.value

    def decorated(function):
        @functools.wraps(function)
        def inner(x):
            return function(x)
        return inner

    @decorated
    def square(x):
        return Model.make(x).predict(x)

    @functools.lru_cache
    def cached(x):
        return square(x)

    def model(x):
        return Model(square(x))

    def pool(method):
        with multiprocessing.get_context(method).Pool(2) as workers:
            return sum(m.value for m in workers.map(model, range(4))) + sum(workers.map(cached, [0]))

    def executor():
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as workers:
            return sum(workers.map(Model(0).predict, range(4)))

    def local():
        class Local(Model):
            pass
        jobs = (joblib.delayed(lambda x: Local(square(x)).value)(x) for x in range(4))
        return sum(joblib.Parallel(n_jobs=2)(jobs))

    def shipped():
        # cloudpickle sends what is of __main__ by value: nothing needs to be found by name.
        data = cloudpickle.dumps([square, Model, Pair, Kind])
        return 14 if b"__mp_main__" not in data else -1

    def by_name():
        path = pathlib.Path(FOLDER, "model.pkl")
        path.write_bytes(pickle.dumps([Model(14), Pair(Kind.SQUARE, Model.Part.double), cached]))
        return pickle.loads(path.read_bytes())[0].value

    HOWS = {
        "fork": lambda: pool("fork"),
        "spawn": lambda: pool("spawn"),
        "forkserver": lambda: pool("forkserver"),
        "executor": executor,
        "joblib": lambda: sum(joblib.Parallel(n_jobs=2)(joblib.delayed(Model(0).predict)(x) for x in range(4))),
        "joblib, local": local,
        "cloudpickle": shipped,
        "pickle": by_name,
        "name": lambda: 14 if __name__ == square.__module__ == model.__module__ == "__main__" else __name__,
        "checkpoint": lambda: 14,
    }

    def objective(trial):
        if trial["how"] == "checkpoint":
            trial.save(Model(14))
        return HOWS[trial["how"]]()

    study = aiohpo.Study(objective, aiohpo.Space(x=aiohpo.Float(0, 1)))
    FOLDER = {folder!r}
    if __name__ == "__main__":
        raise SystemExit("ran as a program")
"""
HOWS = ["fork", "spawn", "forkserver", "executor", "joblib", "joblib, local", "cloudpickle", "pickle", "name"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "train.py"
    file.write_text(textwrap.dedent(FILE.replace("{folder!r}", repr(str(tmp_path)))))
    return file


async def test_whatever_ships_functions_works_as_in_a_program(file: Path) -> None:
    """Process pools of all kinds, joblib, cloudpickle and pickle, with functions and classes of the user's file."""
    evaluator = ProcessEvaluator()
    source = StudyFile(str(file))
    await evaluator.start(
        Program(lambda trial: 0.0, source=source, secret=b"key"), DirectoryBlobs(file.parent / "blobs")
    )
    try:
        for how in HOWS:
            channel = Recorder()
            outcome = await asyncio.wait_for(evaluator.run(assignment(how=how), channel), 60)
            assert outcome == Outcome("finished", {"loss": 14.0}), f"{how}: {outcome} {channel.text}"
    finally:
        await evaluator.aclose()


async def test_a_checkpoint_of_the_files_class_is_restored_elsewhere(file: Path) -> None:
    """By another process of the same study, and by one that imports the file under its other name."""
    store = DirectoryBlobs(file.parent / "blobs")
    evaluator, channel = ProcessEvaluator(), Recorder()
    await evaluator.start(Program(lambda trial: 0.0, source=StudyFile(str(file)), secret=b"key"), store)
    try:
        outcome = await asyncio.wait_for(evaluator.run(assignment(how="checkpoint"), channel), 60)
    finally:
        await evaluator.aclose()
    assert outcome.kind == "finished", outcome
    code = (
        "import sys; from pathlib import Path; from aiohpo.storage.blob_store import DirectoryBlobs\n"
        "from aiohpo.evaluate.program import Program, StudyFile; from aiohpo.evaluate.trial import Trial; "
        "from aiohpo.evaluate.reimport import become_main, import_source\n"
        "from aiohpo.plugin import Assignment\n"
        f"import_source(StudyFile({str(file)!r})); become_main(); become_main()\n"
        f"trial = Trial(Assignment('w.1', 1, {{}}, checkpoint={channel.saves[0][1]!r}), None,"
        f" DirectoryBlobs(Path({str(store.root)!r})), Program(None, secret=b'key'))\n"
        "assert trial.restore().value == 14\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stderr=asyncio.subprocess.PIPE)
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors.decode()
