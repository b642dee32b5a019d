"""Tests of the image of a view: what is made from it is the view."""

from __future__ import annotations

import random

import msgspec
import pytest

from aiohpo.plugin.objective import Objective
from aiohpo.view.image import ViewImage, image_of, restore
from aiohpo.view.promotions import Promotions
from aiohpo.view.view import View
from tests.view.test_view import SPACE, History, draw_history, interleave, state


def empty() -> View:
    return View(SPACE, Objective("loss", "min"), 3)


def apply(view: View, history: History) -> View:
    for origin, seq, event in history:
        view.apply(origin, seq, event)
    return view


def through_image(view: View) -> View:
    """What is made from the view's image, as it stands in a file."""
    data = msgspec.msgpack.encode(image_of(view))
    restored = empty()
    restore(restored, msgspec.msgpack.decode(data, type=ViewImage))
    return restored


def everything(view: View) -> dict[str, object]:
    rungs = Promotions(view)
    return state(view) | {
        "rungs": (rungs.steps, rungs.reached(), rungs.promoted, rungs.moved_segments),
        "activity": view.activity.image(),
        "predicted": sorted(view.predicted("valid")),
        "blobs": [view.predictions(row) for row in range(view.n_rows)],
        "digests": [view.digests(row) for row in range(view.n_rows)],
    }


@pytest.mark.parametrize("gaps", [False, True])
def test_a_view_made_from_an_image_is_the_view_and_goes_on_as_it_would(gaps: bool) -> None:
    """Whatever happened before the image was made and whatever happens after, nothing that can be read differs."""
    for seed in range(15):
        rng = random.Random(seed)
        history = interleave(rng, draw_history(rng, 60), gaps)
        cut = rng.randrange(len(history))
        view = apply(empty(), history[:cut])
        restored = through_image(view)
        assert everything(restored) == everything(view)
        assert everything(apply(restored, history[cut:])) == everything(apply(view, history[cut:]))


def test_an_image_does_not_follow_its_view() -> None:
    """A view that goes on leaves the images that were made of it as they were."""
    rng = random.Random(1)
    history = interleave(rng, draw_history(rng, 60))
    view = apply(empty(), history[:30])
    image = image_of(view)
    before = msgspec.msgpack.encode(image)
    apply(view, history[30:])
    assert msgspec.msgpack.encode(image) == before


def test_all_trials_count_as_changed_after_a_view_was_made_from_an_image() -> None:
    """Who asks what changed since the beginning hears of every trial."""
    rng = random.Random(2)
    view = through_image(apply(empty(), interleave(rng, draw_history(rng, 60))))
    rows, moment = view.touched(0)
    assert rows == list(range(view.n_rows))
    assert view.touched(moment) == ([], moment)
