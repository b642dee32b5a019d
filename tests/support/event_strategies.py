"""Hypothesis strategies for events and frames, for the tests of all that carries or reads them."""

from __future__ import annotations

from hypothesis import strategies as st

from aiohpo.events import schema as ev
from aiohpo.events.codec import encode_event
from aiohpo.mesh import frames as fr

names = st.text("abcdef0123456789_.-", min_size=1, max_size=12)
lamports = st.integers(0, 1 << 50)
small = st.integers(0, 9)
reals = st.floats(allow_nan=False, allow_infinity=False, width=32)
times = st.floats(0, 1e10)
texts = st.text(max_size=30)
metrics = st.none() | st.dictionaries(texts, st.floats(width=32), max_size=3)
trials = st.integers(1, 1000) | st.tuples(names, st.integers(1, 1000))
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
rows = st.lists(st.none() | reals | st.integers(-(1 << 40), 1 << 40), max_size=5).map(tuple)

events = st.one_of(
    st.builds(ev.Started, lamports, times, texts, small, texts, st.none() | small),
    st.builds(ev.Left, lamports, times, texts),
    st.builds(ev.Goal, lamports, st.none() | small, st.booleans()),
    st.builds(
        ev.Proposed,
        lamports,
        times,
        rows,
        st.integers(0, 2),
        st.none() | small,
        retry_of=st.none() | st.tuples(names, st.integers(1, 9)),
    ),
    st.builds(ev.Over, lamports, texts, small, st.lists(names, max_size=3).map(tuple)),
    st.builds(ev.Unanswered, lamports, st.lists(texts, max_size=2).map(tuple)),
    st.builds(ev.Claimed, lamports, times, trials, small, st.none() | small),
    st.builds(ev.Reported, lamports, trials, small, small, st.none() | reals, metrics),
    st.builds(ev.Saved, lamports, trials, small, small, digests, small),
    st.builds(ev.Predicted, lamports, trials, small, st.dictionaries(texts, digests, max_size=2)),
    st.builds(
        ev.Ended,
        lamports,
        trials,
        small,
        st.sampled_from(ev.ENDINGS),
        small,
        st.none() | reals,
        times,
        metrics,
        st.none() | texts,
        st.none() | texts,
    ),
    st.builds(ev.Lost, lamports, trials, small),
    st.builds(ev.Died, lamports, trials, small, texts, small),
    st.builds(ev.Attached, lamports, trials, st.sampled_from(["model.pt", "a b"]), digests, small),
    st.builds(ev.Noted, lamports, trials, st.dictionaries(texts, texts, max_size=2)),
)
raws = events.map(encode_event) | st.binary(max_size=20)
batches = st.builds(ev.Batch, names, st.integers(1, 20), st.lists(raws, max_size=4).map(tuple))
clocks = st.floats(-1e18, 1e18)
news = st.builds(fr.MemberNews, names, texts, st.integers(0, 3), small, names)
frames = st.one_of(
    st.builds(fr.Hello, small, names, names, small, texts, texts, st.booleans()),
    st.builds(fr.Refused, texts),
    st.builds(fr.Events, st.lists(batches, max_size=3).map(tuple), st.booleans(), st.booleans()),
    st.builds(fr.Digest, st.binary(max_size=8), st.binary(max_size=8)),
    st.builds(fr.Groups, st.lists(st.binary(max_size=8), min_size=1, max_size=4).map(tuple), st.booleans()),
    st.builds(
        fr.GroupVector,
        st.integers(1, 4),
        st.dictionaries(st.integers(0, 4), st.binary(max_size=8), max_size=4),
        st.dictionaries(names, small, max_size=4),
        st.booleans(),
        st.booleans(),
    ),
    st.builds(fr.Vector, st.dictionaries(names, small, max_size=4), st.booleans(), st.booleans()),
    st.builds(fr.Members, st.lists(news, max_size=3).map(tuple)),
    st.builds(fr.Ping, clocks),
    st.builds(fr.Pong, clocks),
    st.builds(fr.Inquire),
    st.builds(fr.Definition, texts),
    st.builds(fr.Want, digests, small),
    st.builds(fr.Chunk, digests, small, st.none() | small, st.binary(max_size=20)),
)


@st.composite
def mutations(draw: st.DrawFn, whole: bytes) -> bytes:
    """``whole`` with a few bytes changed, cut out, doubled or put in."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["flip", "cut", "double", "insert", "end"])):
            case "flip" if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[at : at + draw(st.integers(1, 5))]
            case "double":
                data[at:at] = data[at : at + draw(st.integers(1, 8))]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=6))
            case "end":
                del data[at:]
    return bytes(data)
