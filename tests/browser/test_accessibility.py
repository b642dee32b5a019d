"""The page by keyboard, in the dark, in a narrow window and in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.serving import Served
from tests.browser.watching import VIEWS, Watched

pytestmark = pytest.mark.browser


def test_every_view_is_reached_by_keyboard(watch: Watched, served: Served, killed_run: Path) -> None:
    """Tab goes to the skip link, then through the navigation; Enter opens a view and moves the focus to it."""
    page = watch.page
    watch.goto(served.start(killed_run))
    page.keyboard.press("Tab")
    expect(page.locator("#skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.reload()
    watch.see("overview")
    names = page.locator("#nav a").all()
    page.keyboard.press("Tab")
    for link in names:
        page.keyboard.press("Tab")
        expect(link).to_be_focused()
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.locator("#nav a", has_text="Failures").focus()
    page.keyboard.press("Enter")
    watch.see("failures")
    expect(page.locator("#main")).to_be_focused()
    expect(page.locator("#announce")).to_have_text("Failures is shown.")
    expect(page.locator("#nav a[aria-current=page]")).to_contain_text("Failures")


def test_every_control_has_a_name_and_every_chart_a_summary(watch: Watched, served: Served, killed_run: Path) -> None:
    """Buttons, fields and links say what they are, a canvas stands in an image with a sentence, and an id is unique."""
    page = watch.page
    watch.expected.append("status of 409")
    watch.goto(served.start(killed_run))
    for view in VIEWS:
        watch.turn_to(view)
        nameless = page.evaluate(
            """() => [...document.querySelectorAll('a, button, input, select, [role=img], [role=region], dialog')]
                .filter(each => !each.closest('[hidden]'))
                .filter(each => !(each.getAttribute('aria-label') || each.textContent.trim() || each.labels?.length
                    || each.getAttribute('aria-labelledby')))
                .map(each => each.outerHTML.slice(0, 200))"""
        )
        assert nameless == [], view
        assert page.evaluate(
            "[...document.querySelectorAll('#view canvas')].every(each => each.closest('[role=img]'))"
        ), view
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map(each => each.id)")
        assert len(ids) == len(set(ids)), view
        assert page.locator("h1").count() >= 1


def test_dark_mode_follows_the_system_until_somebody_chooses(
    chromium: Browser, served: Served, killed_run: Path
) -> None:
    """The choice outlives a reload."""
    context = chromium.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(served.start(killed_run))
    button = page.get_by_role("button", name="Light mode")
    expect(button).to_be_visible()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    button.click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
    page.reload()
    expect(page.get_by_role("button", name="Dark mode")).to_be_visible()
    context.close()


@pytest.mark.parametrize("width", [360, 800])
def test_a_narrow_window_needs_no_scrolling_sideways(
    width: int, watch: Watched, served: Served, killed_run: Path
) -> None:
    """Wide tables scroll within themselves."""
    page = watch.page
    watch.expected.append("status of 409")
    page.set_viewport_size({"width": width, "height": 700})
    watch.goto(served.start(killed_run))
    for view in VIEWS:
        watch.turn_to(view)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
