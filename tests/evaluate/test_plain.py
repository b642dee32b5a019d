"""Plain data as bytes without code."""

from __future__ import annotations

import collections
import enum
import pickle
import struct
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aiohpo.evaluate.plain import decode, encode


def there_and_back(obj: Any) -> Any:
    parts = encode(obj)
    assert parts is not None, "not plain"
    return decode(memoryview(b"".join(parts)))


def same(a: Any, b: Any) -> bool:
    """Whether two objects cannot be told apart: types, bits, shapes, memory order, the order of keys."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float) and type(a) is float:
        return struct.pack("<d", a) == struct.pack("<d", b)
    if type(a) is complex:
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, np.ndarray):
        # A view that is contiguous in neither order comes back in C's.
        orders = [(x.flags.c_contiguous, x.flags.f_contiguous) for x in (a, b)]
        ordered = (False, False) in orders or orders[0] == orders[1]
        return ordered and (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    if isinstance(a, np.generic):
        return a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return same(list(a), list(b)) and same(list(a.values()), list(b.values()))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, (set, frozenset)):
        rest = list(b)
        for item in a:
            found = [i for i, other in enumerate(rest) if same(item, other)]
            if not found:
                return False
            del rest[found[0]]
        return not rest
    return bool(a == b)


numbers = hnp.boolean_dtypes() | hnp.integer_dtypes() | hnp.floating_dtypes() | hnp.complex_number_dtypes()
others = hnp.datetime64_dtypes() | hnp.timedelta64_dtypes() | hnp.byte_string_dtypes() | hnp.unicode_string_dtypes()
dtypes = numbers | others | hnp.array_dtypes(numbers | others) | hnp.nested_dtypes(numbers | others)


@st.composite
def arrays(draw: Any) -> Any:
    """Arrays of any type without objects, and views of them that are not contiguous."""
    dtype = draw(dtypes)
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    size = int(np.prod(shape)) * dtype.itemsize
    bits = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), np.uint8)
    # Text must be text; all else may be any bits, NaN with a payload among them.
    text = dtype.names is not None or dtype.subdtype is not None or dtype.kind == "U"
    array = np.zeros(shape, dtype) if text or not size else bits.view(dtype).reshape(shape).copy()
    if array.ndim and draw(st.booleans()):
        array = array[draw(hnp.basic_indices(array.shape, allow_newaxis=True))]
    return np.asarray(array).T if draw(st.booleans()) else np.asarray(array)


scalars = hnp.arrays(numbers | hnp.datetime64_dtypes() | hnp.timedelta64_dtypes(), 1).map(lambda a: a[0])
hashable = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | st.text() | st.binary() | scalars,
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.frozensets(inner, max_size=4),
    max_leaves=8,
)
plain = st.recursive(
    hashable | st.binary().map(bytearray) | arrays() | st.sets(hashable, max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(hashable, inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(plain)
def test_plain_data_comes_back_as_it_was(obj: Any) -> None:
    """Types, bits, shapes and the order of keys survive, however deep they are nested."""
    assert same(there_and_back(obj), obj)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(arrays())
def test_arrays_come_back_as_they_were_and_writable(array: Any) -> None:
    """Byte order, memory order and fields survive, of read-only views as well; the result owns its memory."""
    array.flags.writeable = False
    back = there_and_back(array)
    assert same(back, array)
    assert back.flags.writeable
    assert back.flags.aligned


@pytest.mark.parametrize(
    "number", [2**63, 2**64, -(2**63) - 1, 2**1000, -(2**1000), 127, 128, -128, -129, 255, 256, 65535, 2**32]
)
def test_whole_numbers_may_be_of_any_size(number: int) -> None:
    """A bit generator's state has 128 bits."""
    assert there_and_back([number, (number,), {number: number}]) == [number, (number,), {number: number}]


def test_a_generator_can_be_restored_from_its_state() -> None:
    """numpy's and Python's states are plain, so that a resumed training draws what it would have drawn."""
    rng = np.random.default_rng(7)
    again = np.random.default_rng()
    again.bit_generator.state = there_and_back(rng.bit_generator.state)
    assert again.integers(1 << 60) == rng.integers(1 << 60)
    old = np.random.RandomState(7)
    new = np.random.RandomState()
    new.set_state(there_and_back(old.get_state()))
    assert new.randint(1 << 30) == old.randint(1 << 30)


class Colour(enum.IntEnum):
    RED = 1


class Pair(NamedTuple):
    a: int
    b: int


def _cycle() -> list[Any]:
    cycle: list[Any] = []
    cycle.append((cycle,))
    return cycle


def _nested(levels: int) -> list[Any]:
    nested: list[Any] = [object] if levels == 0 else [0]
    for _ in range(levels):
        nested = [nested]
    return nested


SHARED = [1, 2]
ARRAY = np.arange(3)


@pytest.mark.parametrize(
    "obj",
    [
        object(),
        len,
        Pair(1, 2),
        Colour.RED,
        collections.OrderedDict(a=1),
        collections.defaultdict(list),
        np.ma.masked_array([1], [True]),
        np.zeros(2, [("a", int)]).view(np.recarray),
        np.array([object()]),
        np.zeros(2, np.dtype("f8", metadata={"unit": "m"})),
        np.zeros(2, [("a", np.dtype("f8", metadata={"unit": "m"}))]),
        np.zeros(2, np.dtype([("a", "i1"), ("b", "f8")], align=True)),
        np.zeros(2, np.dtype({"names": ["a", "b"], "formats": ["i4", "i2"], "offsets": [0, 2]})),
        np.str_("text"),
        np.bytes_(b"ends in zero\0"),
        "lone surrogate \udc80",
        _nested(60),
    ],
    ids=lambda obj: type(obj).__name__,
)
def test_what_is_not_plain_is_left_to_pickle(obj: Any) -> None:
    """Subclasses, objects, and types whose description says less than they are; alone or inside of something."""
    assert encode(obj) is None
    assert encode({"a": [(1, obj)]}) is None


@pytest.mark.parametrize("obj", [[SHARED, SHARED], (SHARED, {"a": SHARED}), [ARRAY, ARRAY], _cycle()], ids=range(4))
def test_what_occurs_twice_is_left_to_pickle(obj: Any) -> None:
    """One object that is found in two places must be one object afterwards."""
    assert encode(obj) is None


def test_equal_objects_and_shared_constants_are_plain() -> None:
    """Two arrays that are equal are two arrays; nobody can tell a tuple of numbers from its copy."""
    shape = (3, 4)
    obj = {"a": np.ones(2), "b": np.ones(2), "shape": shape, "same": shape, "empty": [(), (), frozenset()]}
    assert same(there_and_back(obj), obj)


def test_arrays_are_written_without_a_copy() -> None:
    """The buffers of contiguous arrays are the arrays themselves, wherever they are in the structure."""
    arrays = [np.arange(1000.0), np.asfortranarray(np.ones((30, 40)))]
    parts = encode({"deep": [{"er": (arrays[0],)}, arrays[1]]})
    assert parts is not None
    assert [np.shares_memory(np.asarray(part), array) for part, array in zip(parts[2:], arrays, strict=True)] == [
        True
    ] * 2


@settings(derandomize=True, deadline=None)
@given(st.binary(max_size=40))
def test_bytes_of_something_else_are_an_error(data: bytes) -> None:
    """What cannot be decoded raises ValueError or reads as plain data; it never does anything."""
    try:
        decode(memoryview(len(data).to_bytes(8, "big") + data))
    except (ValueError, TypeError):
        pass


def test_a_pickle_is_not_looked_into() -> None:
    """Neither as the document nor as the contents of an array of objects."""
    with pytest.raises(ValueError, match="ends in the middle"):
        decode(memoryview(pickle.dumps([1])))
