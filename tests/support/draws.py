"""A searcher for tests of what surrounds searchers."""

from __future__ import annotations


class Draws:
    """Uniform draws, at most ``most`` of them."""

    def __init__(self, most: int = 1 << 30) -> None:
        self.left = most

    def setup(self, space, seed, identity):
        self.space = space

    def ask(self, view, rng, slots):
        self.left -= 1
        return self.space.decode(self.space.sample(rng, len(slots))) if self.left >= 0 else []
