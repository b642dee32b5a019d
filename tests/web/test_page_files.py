"""The page's files: third-party ones are as they were published, our own are all used and write no HTML from data."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

import aiohpo.web

PAGE = Path(aiohpo.web.__file__).parent / "page"
VENDORED = re.findall(r"^\| `([^`]+)` \|.*\| `([0-9a-f]{64})` \|$", (PAGE / "vendor" / "README.md").read_text(), re.M)
SCRIPTS = sorted(path.relative_to(PAGE).as_posix() for path in (PAGE / "js").rglob("*.js"))
STYLE = (PAGE / "style.css").read_text()


@pytest.mark.parametrize(("name", "digest"), VENDORED)
def test_a_third_party_file_is_as_it_was_published(name: str, digest: str) -> None:
    """Its bytes have the digest that its line in vendor/README.md names."""
    assert hashlib.sha256((PAGE / "vendor" / name).read_bytes()).hexdigest() == digest


def test_every_third_party_file_is_listed_with_its_licence() -> None:
    """What is in vendor/ is either a file with a digest or a licence that the list names."""
    text = (PAGE / "vendor" / "README.md").read_text()
    assert {path.name for path in (PAGE / "vendor").iterdir()} - {"README.md"} == {
        *(name for name, _ in VENDORED),
        *re.findall(r"`([^`]+\.(?:LICENSE|NOTICE)[^`]*)`", text),
    }
    assert all("LICENSE`" in line for line in text.splitlines() if line.startswith("| `"))


def test_the_page_names_each_script_once_and_nothing_that_is_not_there() -> None:
    """index.html lists all scripts of js/; what it refers to lies beside it, so nothing is loaded from elsewhere."""
    html = (PAGE / "index.html").read_text()
    named = re.findall(r'<script src="([^"]+)"></script>', html)
    assert sorted(name for name in named if name.startswith("js/")) == SCRIPTS
    for name in [*named, *re.findall(r'<link rel="stylesheet" href="([^"]+)">', html)]:
        assert (PAGE / name).is_file(), name
    assert not re.search(r"https?://|<script>|\son\w+=", html)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_makes_no_html_and_no_code_from_text(name: str) -> None:
    """Whatever strangers wrote becomes text nodes: no script has a way to parse it as anything else."""
    text = (PAGE / name).read_text()
    banned = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|Contextual|\beval\b|new Function"
    assert not re.search(banned, text)
    assert not re.search(r"^\s*(import|export)\b|https?://(?!www\.w3\.org/2000/svg)", text, re.M)
    assert len(text.splitlines()) <= 400


def colours(theme: str) -> dict[str, str]:
    """The colours of a theme, {name: "#rrggbb"}; the dark one changes the light one's."""
    blocks = re.findall(r":root(?:\[data-theme=\"dark\"\])? \{(.*?)\n\}", STYLE, re.S)
    wanted = blocks[:1] if theme == "light" else blocks[:2]
    return dict(pair for block in wanted for pair in re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.2 between two colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_marks_stand_out_from_their_ground(theme: str) -> None:
    """Text has a contrast of 4.5 and a mark or the border of a control one of 3, as WCAG AA asks."""
    found = colours(theme)
    texts = [
        (text, ground) for text in ("text", "muted", "accent", "danger") for ground in ("surface", "ground", "sunken")
    ]
    texts += [(name, f"{name}-soft") for name in ("accent", "danger", "warn", "good")]
    texts += [("failed", "surface"), ("surface", "danger"), ("chart-axis", "surface"), ("text", "good-soft")]
    marks = ["running", "finished", "stopped", "paused", "failed", "lost", "line-strong", "chart-point", "takeover"]
    marks += [f"s{i}" for i in range(1, 8)]
    low = {
        f"{a} on {b}": round(contrast(found[a], found[b]), 2) for a, b in texts if contrast(found[a], found[b]) < 4.5
    }
    low |= {
        name: round(contrast(found[name], found["surface"]), 2)
        for name in marks
        if contrast(found[name], found["surface"]) < 3
    }
    assert low == {}
