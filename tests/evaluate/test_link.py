"""A trial's link from any thread to the loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from aiohpo.evaluate.link import LoopLink
from aiohpo.evaluate.trial_link import TrialEnded
from aiohpo.plugin import Decision
from tests.support.evaluate_objectives import Recorder, stop_at


class Where(Recorder):
    """Records on which thread it is called."""

    thread = 0

    def report(self, step: int, metrics: object) -> Decision:
        self.thread = threading.get_ident()
        return super().report(step, {})


async def test_the_channel_is_called_on_the_loops_thread() -> None:
    """From the loop directly, from elsewhere through the loop; the answer comes back either way."""
    channel = Where(stop_at(2))
    link = LoopLink(channel, asyncio.get_running_loop())
    assert link.report(1, {}) is Decision.CONTINUE
    assert channel.thread == threading.get_ident()
    assert await asyncio.to_thread(link.report, 2, {}) is Decision.STOP
    assert channel.thread == threading.get_ident()
    await asyncio.to_thread(link.save, 2, "digest", 3)
    await asyncio.to_thread(link.predictions, {"valid": "digest"})
    assert channel.saves == [(2, "digest", 3)]
    assert channel.stored == {"valid": "digest"}


async def test_a_closed_link_ends_the_trial_also_for_words_on_their_way() -> None:
    """A word that reaches the loop after the segment was cancelled is not delivered."""
    channel = Recorder()
    link = LoopLink(channel, asyncio.get_running_loop())
    waiting = threading.Event()

    def speak() -> None:
        waiting.set()
        link.report(1, {})

    word = asyncio.ensure_future(asyncio.to_thread(speak))
    await asyncio.sleep(0)
    assert waiting.wait(120)
    link.close()
    with pytest.raises(TrialEnded):
        await word
    with pytest.raises(TrialEnded):
        link.report(2, {})
    assert not channel.reports


async def test_the_channels_own_error_reaches_the_speaker() -> None:
    """Nobody waits forever for an answer that cannot come."""

    def broken(step: int) -> Decision:
        raise RuntimeError("broken")

    link = LoopLink(Recorder(broken), asyncio.get_running_loop())
    with pytest.raises(RuntimeError, match="broken"):
        await asyncio.to_thread(link.report, 1, {})


def test_a_closed_loop_ends_the_trial() -> None:
    """An objective that outlives the loop is unwound."""
    loop = asyncio.new_event_loop()
    link = LoopLink(Recorder(), loop)
    loop.close()
    raised: list[BaseException] = []

    def speak() -> None:
        try:
            link.report(1, {})
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=speak)
    thread.start()
    thread.join(5)
    assert isinstance(raised[0], TrialEnded)


async def test_what_was_printed_is_passed_on_without_waiting() -> None:
    """From the loop's thread at once, from others by the loop; with the loop closed it is lost, and no error."""
    channel = Recorder()
    link = LoopLink(channel, asyncio.get_running_loop())
    link.log("here\n")
    assert channel.text == "here\n"
    thread = threading.Thread(target=link.log, args=("there\n",))
    thread.start()
    thread.join()
    assert channel.text == "here\n"
    await asyncio.wait_for(channel.heard.wait(), 10)
    await asyncio.sleep(0)
    assert channel.text == "here\nthere\n"
    closed = asyncio.new_event_loop()
    closed.close()
    await asyncio.to_thread(LoopLink(channel, closed).log, "late\n")
