"""The user's sources as they were when the worker began."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from pathlib import Path

import pytest

from aiohpo.evaluate.sources import KeptSources, Sources, files_in_use


def test_only_a_different_content_is_a_change(tmp_path: Path) -> None:
    """A file that was touched, or written again as it was, has not changed; an edit that is undone has not either."""
    file = tmp_path / "train.py"
    file.write_text("x = 1\n")
    sources = Sources([str(file), str(tmp_path / "nowhere.py")])
    assert repr(sources) == "<Sources: 1 files>"
    assert sources.texts == {str(file): b"x = 1\n"}
    os.utime(file, (1, 1))
    assert sources.changed() == []
    file.write_text("x = 2\n")
    assert sources.changed() == [str(file)]
    file.unlink()
    assert sources.changed() == [str(file)]
    file.write_text("x = 1\n")
    assert sources.changed() == []


def test_sources_in_use_are_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the interpreter's, nor what is installed, nor aiohpo's own; a script may have any name."""
    (tmp_path / "aiohpo_test_mine.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "aiohpo_test_mine", None)
    del sys.modules["aiohpo_test_mine"]
    importlib.import_module("aiohpo_test_mine")
    found = files_in_use(str(tmp_path / "script"))
    assert found[0] == str(tmp_path / "script")
    assert str(tmp_path / "aiohpo_test_mine.py") in found
    for module in (os, pytest, sys.modules["aiohpo.evaluate.sources"]):
        assert module.__file__ not in found


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package on the path, one file of which has changed and one is gone since its text was kept."""
    package = tmp_path / "aiohpo_test_package"
    package.mkdir()
    (package / "__init__.py").write_text("from . import part\n")
    (package / "part.py").write_text("def f():\n    raise ValueError('new')\n")
    (package / "same.py").write_text("value = 'same'\n")
    texts = {
        str(package / "part.py"): b"def f():\n    raise ValueError('old')\n",
        str(package / "gone.py"): b"value = 'gone'\n",
        str(package / "same.py"): (package / "same.py").read_bytes(),
    }
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "meta_path", [KeptSources(texts), *sys.meta_path])
    for name in ("", ".part", ".same", ".gone"):
        monkeypatch.setitem(sys.modules, f"aiohpo_test_package{name}", None)
        del sys.modules[f"aiohpo_test_package{name}"]
    return package


def test_kept_texts_are_imported_in_place_of_their_files(kept: Path) -> None:
    """Modules of a package too, also where the file is gone; tracebacks quote the text, not the file as it is now."""
    package = importlib.import_module("aiohpo_test_package")
    assert importlib.import_module("aiohpo_test_package.same").value == "same"
    assert list(kept.glob("__pycache__/same.*")), "an unchanged file is imported as ever"
    assert importlib.import_module("aiohpo_test_package.gone").value == "gone"
    assert package.part.__file__ == str(kept / "part.py")
    with pytest.raises(ValueError, match="old") as raised:
        package.part.f()
    assert "raise ValueError('old')" in "".join(traceback.format_exception(raised.value))
    assert not list(kept.glob("__pycache__/part.*")), "bytecode of the old text beside the new file"
