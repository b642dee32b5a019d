"""Hypothesis strategies for parameters, spaces and units, shared by the tests of the modules about spaces."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from aiohpo.space.space import Categorical, Constant, Float, Int, Ordinal, Parameter, Space

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.floats(-2, 2), st.sampled_from(["sgd", "adam", "", "π"])
)
CHOICES = st.lists(SCALARS, min_size=1, max_size=5, unique_by=lambda v: (isinstance(v, bool), v))


@st.composite
def floats(draw: st.DrawFn, /, **options: Any) -> Float:
    """Draw a Float: linear, logarithmic or stepped."""
    form = draw(st.sampled_from(["linear", "log", "step"]))
    if form == "step":
        step = draw(st.sampled_from([0.1, 0.25, 1 / 3, 1.0, 1e-3]))
        low = draw(st.sampled_from([0.0, -0.7, 1.0, 100.1]))
        return Float(low, low + draw(st.integers(1, 50)) * step, step=step, **options)
    low = draw(st.floats(1e-9, 1e3) if form == "log" else st.floats(-1e6, 1e6))
    high = low * draw(st.floats(1.001, 1e6)) if form == "log" else low + draw(st.floats(1e-3, 1e6)) * max(1.0, abs(low))
    return Float(low, high, log=form == "log", **options)


@st.composite
def ints(draw: st.DrawFn, /, **options: Any) -> Int:
    """Draw an Int: linear, logarithmic or stepped; small and huge."""
    form = draw(st.sampled_from(["linear", "log", "step"]))
    width = draw(st.integers(0, 20) | st.integers(0, 2**39))
    low = draw(st.integers(1, 100) if form == "log" else st.integers(-100, 100))
    if form == "step":
        step = draw(st.integers(1, 7))
        return Int(low, low + width // step * step, step=step, **options)
    return Int(low, low + width, log=form == "log", **options)


@st.composite
def parameters(draw: st.DrawFn, /, **options: Any) -> Parameter:
    """Draw a parameter of any kind."""
    kind = draw(st.sampled_from(["float", "int", "categorical", "ordinal", "constant"]))
    if kind == "float":
        return draw(floats(**options))
    if kind == "int":
        return draw(ints(**options))
    if kind == "constant":
        return Constant(draw(SCALARS), **options)
    return (Categorical if kind == "categorical" else Ordinal)(draw(CHOICES), **options)


def some_values(param: Parameter) -> list[Any]:
    """Return up to 20 values of a parameter that has levels."""
    if isinstance(param, Constant):
        return [param.value]
    if isinstance(param, Float):
        return list(param.table[:20])
    if isinstance(param, Int):
        return list(range(param.low, param.high + 1, param.step)[:20])
    assert isinstance(param, Categorical | Ordinal)
    return list(param.choices)


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Draw a space of up to 7 parameters, with nested conditions, declared in any order.

    A condition is on one parent and, some of the time, repeats the parent's own, as configuration spaces in
    the wild do.
    """
    pairs: list[tuple[str, Parameter]] = []
    for i in range(draw(st.integers(1, 7))):
        when: dict[str, Any] = {}
        candidates = [(name, p) for name, p in pairs if p.levels is not None]
        if candidates and draw(st.integers(0, 1)):
            name, parent = draw(st.sampled_from(candidates))
            when[name] = draw(st.lists(st.sampled_from(some_values(parent)), min_size=1, max_size=3))
            for ancestor, values in parent.condition.items():
                if draw(st.booleans()):
                    when.setdefault(ancestor, values)
        pairs.append((f"p{i}", draw(parameters(when=when))))
    order: list[tuple[str, Parameter]] = draw(st.permutations(pairs))
    return Space(order)


@st.composite
def spaces_and_units(draw: st.DrawFn) -> tuple[Space, NDArray[np.float64]]:
    """Draw a space and units (n, d) for it, among them numbers outside [0, 1] and NaN."""
    space = draw(spaces())
    entry = st.floats(0, 1) | st.sampled_from([0.0, 1.0, 0.5, -0.5, 1.5, float("nan")])
    n = draw(st.integers(0, 6))
    flat = draw(st.lists(entry, min_size=n * space.dim, max_size=n * space.dim))
    return space, np.array(flat, np.float64).reshape(n, space.dim)
