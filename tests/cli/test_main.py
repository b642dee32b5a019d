"""The command itself: help, errors and exit codes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from aiohpo.cli.main import cli, invoke, main


def test_every_command_explains_itself_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    """Each command's help says what it does, lists --debug and shows an example that names the command."""
    for name in cli.commands:
        assert invoke([name, "--help"]) == 0
        text = capsys.readouterr().out
        assert "Example:" in text
        assert f"aiohpo {name} " in text.split("Example:")[1] + " "
        assert "--debug" in text


def test_commands_that_print_results_take_json() -> None:
    """Every command that prints a result has --json; export has its own formats."""
    with_json = {name for name, found in cli.commands.items() if "json_" in {p.name for p in found.params}}
    assert with_json == {
        "run",
        "best",
        "show",
        "watch",
        "report",
        "plot",
        "importance",
        "retry",
        "replay",
        "simulate",
        "ensemble",
        "plugins",
        "new-plugin",
        "keygen",
    }


def test_without_arguments_it_shows_help_and_says_that_something_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    """Called alone it prints the list of commands to stderr and exits with 2."""
    assert invoke([]) == 2
    captured = capsys.readouterr()
    assert "Commands:" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["rnu"], "there is no command 'rnu'. Did you mean 'run'?"),
        (["frobnicate"], "There are: run, worker"),
        (["run"], "Missing argument 'FILE[:OBJECT]'"),
        (["run", "train.py", "--trails", "3"], "'--trials'?"),
        (["run", "train.py", "--trials", "0"], "0 is not in the range x>=1"),
        (["run", "train.py", "--time", "soon"], "'soon' is not a length of time; write 90 (seconds), 10m or 1h30m"),
        (["run", "train.py", "--target", "nan"], "not a finite number"),
        (["run", "nowhere.py"], "there is no file 'nowhere.py'"),
        (["worker", "train.py", "--rank", "2"], "--rank and --size go together"),
        (["worker", "train.py", "--rank", "2", "--size", "2"], "must be below --size 2"),
        (["best", "nowhere"], "there is no directory 'nowhere'"),
        (["plot", "nowhere", "--kind", "pie"], "'pie' is not one of"),
        (
            ["export", "nowhere", "--to", "xls"],
            "there is no format 'xls'; the formats are: csv, parquet, json, optuna://URL",
        ),
        (["export", "nowhere", "--to", "csv", "--name", "x"], "has no meaning for a file"),
        (["plugins", "engines"], "there is no kind of plugin 'engines'"),
        (["new-plugin", "Big Name"], "'Big Name' cannot be the name of a plugin"),
    ],
)
def test_wrong_usage_is_one_clear_line(
    args: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is mistyped is named in one line on stderr, with the remedy, and the exit code is 2."""
    monkeypatch.chdir(str(tmp_path))
    assert invoke(args) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert captured.err.startswith("aiohpo: ")
    assert captured.err.count("\n") == 1


def test_debug_shows_the_traceback_and_keeps_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """With --debug bad input ends in a traceback, still with exit code 2."""
    assert invoke(["best", "nowhere", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_main_exits_with_the_commands_code() -> None:
    """``main`` ends the process with what the command returned."""
    with pytest.raises(SystemExit) as ended:
        main(["best", "nowhere"])
    assert ended.value.code == 2


def test_help_imports_nothing_heavy() -> None:
    """``aiohpo --help`` loads neither numpy nor rich nor any plugin: it answers at once."""
    program = (
        "import sys; from aiohpo.cli.main import invoke; invoke(['--help']); "
        "print(sorted({'numpy', 'rich', 'sklearn', 'scipy', 'zmq', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=True)
    assert done.stdout.rstrip().splitlines()[-1] == "[]"


def test_a_reader_that_goes_away_is_no_error(tmp_path: object) -> None:
    """Output piped into a program that stops reading ends quietly."""
    program = "from aiohpo.cli.main import main; main(['plugins', '--json'])"
    command = f'{sys.executable} -c "{program}" | true; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=600, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


def test_it_runs_as_a_module() -> None:
    """``python -m aiohpo`` is the same command."""
    done = subprocess.run(
        [sys.executable, "-m", "aiohpo", "--version"], capture_output=True, text=True, timeout=600, check=True
    )
    assert done.stdout.startswith("aiohpo ")


def test_a_fault_of_the_program_has_an_exit_code_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected error shows its traceback, asks for a report and is not taken for a search without success."""
    monkeypatch.setattr("aiohpo.plugin.registry.KINDS", None)
    assert invoke(["plugins"]) == 70
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith("aiohpo: this is a fault of aiohpo or of a plugin; please report it\n")
