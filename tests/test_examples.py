"""The examples as people run them: each in its small form, as a program of its own, from another directory."""

from __future__ import annotations

import ast
import asyncio
import fcntl
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import venv
from pathlib import Path

import numpy as np
import pytest

from aiohpo import Float, Space, Study
from aiohpo.evaluate.checkpoint import decode, encode
from aiohpo.testing import check_searcher
from aiohpo_plugins.searchers.auto import AutoSearcher

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
PLUGIN, ENSEMBLE = EXAMPLES / "third_party_plugin", EXAMPLES / "third_party_ensemble"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}
ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)  # what the clean environment imports is compiled once
NUMBER = r"(\d+\.\d+)"

pytestmark = pytest.mark.examples


def run(directory, *command, timeout=600.0):
    """Run a program in ``directory``; return what it printed to stdout, and fail the test if it fails."""
    words, pipe = [str(word) for word in command], subprocess.PIPE
    with subprocess.Popen(words, cwd=directory, env=ENVIRONMENT, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.terminate()  # and not killed at once: it has to end workers of its own
            try:
                out, err = process.communicate(timeout=600)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
            pytest.fail(f"{words} took longer than {timeout:g} s\n{out}\n{err}")
    assert process.returncode == 0, f"{words} exited with {process.returncode}\n{out}\n{err}"
    assert "Traceback" not in err, err
    return out


def example(directory, name, *options):
    return run(directory, sys.executable, EXAMPLES / f"{name}.py", *options)


def numbers(pattern, text):
    """The numbers that the groups of ``pattern`` match in ``text``."""
    found = re.search(pattern, text)
    assert found, f"{pattern!r} is not in:\n{text}"
    return [float(group) for group in found.groups()]


def test_digits_mlp(tmp_path):
    """The multilayer perceptron learns the digits, epoch by epoch, and its best configuration is printed."""
    out = example(tmp_path, "digits_mlp", "--trials", 2)
    accuracy, loss = numbers(rf"best accuracy {NUMBER} \(log loss {NUMBER}\)", out)
    assert 0.3 < accuracy <= 1
    assert loss > 0
    assert re.search(r"learning_rate +\S+", out)


def test_digits_mlp_by_the_command_line(tmp_path):
    """``aiohpo run`` takes the same file, and every epoch is in the run directory afterwards."""
    aiohpo = [sys.executable, "-m", "aiohpo"]
    run(tmp_path, *aiohpo, "run", EXAMPLES / "digits_mlp.py", "--trials", 1, "--workers", 2, "--dir", "run")
    shown = json.loads(run(tmp_path, *aiohpo, "show", "run", "--json"))
    (finished,) = (trial for trial in shown["trials"] if trial["status"] == "finished")
    assert [step for step, _ in finished["curve"]] == list(range(1, 28))


def test_mlp_electricity(tmp_path):
    """Most configurations are given up early: all together cost far less than training each to the end."""
    out = example(tmp_path, "mlp_electricity", "--trials", 6)
    (epochs,) = map(int, re.findall(r"(\d+) epochs; best accuracy", out))
    assert 6 <= epochs < 6 * 81
    (accuracy,) = numbers(rf"best accuracy {NUMBER} after", out)
    assert accuracy > 0.4


def test_a_checkpoint_of_the_electricity_mlp_holds_everything(monkeypatch):
    """Trained in two segments, with a checkpoint in between, it becomes the very same network: the state of the
    optimiser and of the random generator is part of it."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import mlp_electricity

    config = {**mlp_electricity.space.default(), "batch_size": 256, "units_1": 8, "units_2": 8, "dropout_1": 0.5}
    at_once, before = mlp_electricity.Network(config), mlp_electricity.Network(config)
    for network in (at_once, at_once, before):
        network.train_one_epoch()
    secret = bytes(32)
    after = decode(encode(before, secret), secret, Path)
    after.train_one_epoch()
    for one, other in zip(at_once.weights, after.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_pytorch_mlp(tmp_path):
    """With PyTorch its checkpoints are resumed; without it the example says what it needs."""
    if importlib.util.find_spec("torch") is None:
        done = subprocess.run(
            [sys.executable, "-m", "aiohpo", "run", EXAMPLES / "pytorch_mlp.py", "--trials", "1"],
            cwd=tmp_path,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 2
        assert "pytorch_mlp.py: this example needs PyTorch: pip install torch" in done.stderr
        return
    assert numbers(rf"best accuracy {NUMBER} after", example(tmp_path, "pytorch_mlp", "--trials", 9))[0] > 0.3


def test_breast_cancer(tmp_path):
    """The defaults of three kinds of models are tried first, and the best of all is a valid configuration."""
    out = example(tmp_path, "breast_cancer", "--trials", 4)
    for family in ("linear", "svm", "boosting"):
        tried, best, default, accuracy = numbers(rf"{family} +(\d+) +{NUMBER} +{NUMBER} +{NUMBER}", out)
        assert tried >= 1
        assert best <= default
        assert accuracy > 0.6
    assert ast.literal_eval(out.partition("best: ")[2].strip())["model"] in ("linear", "svm", "boosting")


def test_async_objective(tmp_path):
    """Many trainings elsewhere overlap in one event loop: together they take less time than one by one."""
    out = example(tmp_path, "async_objective", "--trials", 48, "--slots", 16)
    trainings, one_by_one, took = numbers(rf"(\d+) trainings of {NUMBER} s altogether took {NUMBER} s", out)
    assert trainings >= 48
    assert took < one_by_one / 2
    (curve,) = re.findall(r"epoch by epoch: (.*)", out)
    assert len(curve.split()) == 12


def test_pbt_schedule(tmp_path):
    """A population finds a schedule on several workers; it is shown, drawn and trained with again, to the digit."""
    aiohpo, target = [sys.executable, "-m", "aiohpo"], EXAMPLES / "pbt_schedule.py"
    scheduler = "pbt:population=4,interval=20"
    run(tmp_path, *aiohpo, "run", target, "--scheduler", scheduler, "--workers", 2, "--dir", "run")
    shown = json.loads(run(tmp_path, *aiohpo, "show", "run", "--lineage", "--json"))
    assert [stretch["to"] for stretch in shown["schedule"]][-1] == 100
    assert any(trial["parent"] for trial in shown["trials"])
    assert run(tmp_path, *aiohpo, "plot", "run", "--kind", "schedule").strip().endswith("plot-schedule.png")
    replayed = json.loads(run(tmp_path, *aiohpo, "replay", "run", target, "--json"))
    assert replayed["replayed"]["value"] == pytest.approx(replayed["found"]["value"], rel=1e-9)


@pytest.mark.skipif(shutil.which("awk") is None, reason="awk is not installed")
def test_shell_command(tmp_path):
    """The script's parameters are tuned, and the command that is printed gives the error that is printed."""
    out = example(tmp_path, "shell_command", "--trials", 40)
    errors = [float(error) for error in re.findall(rf"error of the best +{NUMBER}", out)]
    assert errors
    command = shlex.split(out.splitlines()[-1])
    result = json.loads(run(EXAMPLES, *command).splitlines()[-1])
    assert result["rmse"] == pytest.approx(min(errors), rel=0.01)
    assert result["rmse"] < 30


@pytest.mark.parametrize(("name", "metric"), [("digits", "log_loss"), ("regression", "rmse")])
def test_ensembles(tmp_path, name, metric):
    """An ensemble of what the search has trained is better than the best single model on rows that nobody has seen; it
    is saved and drawn."""
    example(tmp_path, f"ensemble_{name}", "--trials", 25)
    aiohpo = [sys.executable, "-m", "aiohpo"]
    directory = f"runs/ensemble_{name}"
    told = json.loads(run(tmp_path, *aiohpo, "ensemble", directory, "--save", "best.ensemble", "--json"))
    table = told["table"][metric]
    assert table["ensemble"]["test"] < table["single"]["test"]
    assert (tmp_path / "best.ensemble").exists()
    run(tmp_path, *aiohpo, "plot", directory, "--kind", "ensemble")
    assert (tmp_path / directory / "plot-ensemble.png").stat().st_size > 20_000


def test_ask_and_tell(tmp_path):
    """A loop of one's own gets better than the past experience that it started from."""
    out = example(tmp_path, "ask_and_tell", "--trials", 30)
    assert "2 past trials added" in out
    (best,) = numbers(rf"best accuracy {NUMBER}, 1 failed, 31 finished", out)
    assert best > 0.9552


def test_embed_in_service(tmp_path):
    """The service streams each trial once and then tells the best of them."""
    out = example(tmp_path, "embed_in_service", "--once", 6)
    values = [float(value) for value in re.findall(rf"accuracy {NUMBER} with", out)]
    answer = json.loads(out[out.index("{\n") :])
    assert values == sorted(values)
    assert answer["trials"] == 6
    assert answer["best"]["value"] == pytest.approx(values[-1], abs=1e-4)
    assert answer["running"] is False


async def test_service_answers_while_it_searches(tmp_path, monkeypatch):
    """While the default searcher is at work in the service's loop, every request is answered, with what is best so far;
    no model is fitted on that loop's thread. (How late the loop is, ``benchmarks/responsiveness.py`` measures.)"""
    aiohttp = pytest.importorskip("aiohttp")
    from aiohttp.test_utils import TestClient, TestServer

    monkeypatch.syspath_prepend(str(EXAMPLES))
    import embed_in_service

    fitted, fit = [], AutoSearcher.fit

    def recorded(self, observations):
        fitted.append(threading.get_ident())
        return fit(self, observations)

    monkeypatch.setattr(AutoSearcher, "fit", recorded)
    async with TestClient(TestServer(embed_in_service.make_app(tmp_path))) as client, asyncio.timeout(600):
        assert (await client.post("/search", params={"trials": 30})).status == 202
        answers = []
        async with client.get("/events", timeout=aiohttp.ClientTimeout(total=600)) as events:
            async for line in events.content:
                if line.startswith(b'data: {"trial"'):
                    answers.append(await (await client.get("/best")).json())
        best = await (await client.get("/best")).json()
    assert len(answers) >= 30
    assert answers[0]["running"]
    assert fitted
    assert threading.get_ident() not in fitted
    assert best["trials"] == 30
    assert best["best"]["value"] == max(answer["best"]["value"] for answer in answers) > 0.8


@pytest.fixture(scope="module")
def clean_environment(tmp_path_factory):
    """A fresh virtual environment into which this checkout and the plugins' packages were installed.

    It is set up once for all processes that run tests: the first takes the lock, the others wait for it.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (shared / "environment.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        directory = shared / "environment"
        scripts = directory / ("Scripts" if os.name == "nt" else "bin")
        if not (directory / "ready").exists():
            install_packages(directory, scripts)
            (directory / "ready").touch()
    return scripts


def install_packages(directory, scripts):
    venv.create(directory, with_pip=False)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        scripts / "python",
        "install",
        "--quiet",
        "--no-input",
        "--no-compile",
    ]
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, timeout=600).returncode:
        pytest.skip("this Python has no pip")
    packages = [ROOT, f"{PLUGIN}[test]", ENSEMBLE]
    done = subprocess.run([*pip, "--disable-pip-version-check", *packages], timeout=600, capture_output=True, text=True)
    if done.returncode and re.search(
        "No matching distribution|Could not find a version|Connection|timed out", done.stderr
    ):
        pytest.skip(f"pip cannot reach the packages that are needed: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


def test_plugin_is_found_in_a_clean_environment(clean_environment, tmp_path):
    """What pip installed appears in ``aiohpo plugins`` with its package and its options."""
    out = run(tmp_path, clean_environment / "aiohpo", "plugins", "searchers", "--json")
    (found,) = (plugin for plugin in json.loads(out)["searchers"] if plugin["name"] == "differential")
    assert "aiohpo-differential" in json.dumps(found)
    assert "crossover" in json.dumps(found)


def test_ensemble_builder_passes_its_own_tests_in_a_clean_environment(clean_environment, tmp_path):
    """So does the ensemble builder that is a package of its own, and it is found by name."""
    shutil.copytree(ENSEMBLE / "tests", tmp_path / "tests")
    out = run(tmp_path, clean_environment / "python", "-m", "pytest", "-q", "tests", timeout=600)
    assert re.search(r"\d+ passed", out)
    assert "failed" not in out


@pytest.mark.skipif(shutil.which("awk") is None, reason="awk is not installed")
def test_plugin_runs_by_name_in_a_clean_environment(clean_environment, tmp_path):
    """``aiohpo run --searcher differential`` searches with it, on several workers."""
    target = EXAMPLES / "shell_command.py"
    options = ["--trials", 60, "--workers", 2, "--searcher", "differential:population=8", "--dir", "run", "--json"]
    found = json.loads(run(tmp_path, clean_environment / "aiohpo", "run", target, *options))
    assert found["counts"]["finished"] >= 60
    study = json.loads((tmp_path / "run" / "study.json").read_text())
    assert study["searcher"] == "differential:population=8"


def test_plugin_passes_its_own_tests_in_a_clean_environment(clean_environment, tmp_path):
    """The plugin's tests, aiohpo's conformance check among them, pass where only it and aiohpo are installed."""
    shutil.copytree(PLUGIN / "tests", tmp_path / "tests")
    out = run(tmp_path, clean_environment / "python", "-m", "pytest", "-q", "tests", timeout=600)
    assert re.search(r"\d+ passed", out)
    assert "failed" not in out


def readme_program(part):
    """The program in the README that contains ``part``."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return next(block for block in re.findall(r"```python\n(.*?)```", text, re.S) if part in block)


def test_first_program_of_the_readme(tmp_path):
    """The program that the README begins with runs as it stands there, and goes on by the command line."""
    (tmp_path / "svm.py").write_text(readme_program("study.run(").replace("trials=40", "trials=6"), encoding="utf-8")
    assert re.search(rf"best {NUMBER} ", run(tmp_path, sys.executable, "svm.py"))
    command = [sys.executable, "-m", "aiohpo", "run", "svm.py", "--trials", 8, "--workers", 2, "--json"]
    found = json.loads(run(tmp_path, *command))
    assert found["counts"]["finished"] == 8
    assert found["best"]["value"] > 0.9


def test_searcher_of_the_readme():
    """The searcher that the README shows passes the conformance check and runs as an instance."""
    names = {}
    exec(readme_program("class Nearby"), names)
    check_searcher(names["Nearby"])
    space = Space(x=Float(0, 1))
    study = Study(lambda trial: abs(trial["x"] - 0.3), space, searcher=names["Nearby"](), evaluator="thread")
    assert study.run(trials=30, progress=False).best.value < 0.1
