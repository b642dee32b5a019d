"""The recipes with a name in the literature; registered by entry points, as anyone's."""

from __future__ import annotations

from aiohpo.plugin import Recipe

ADBO = Recipe("adbo", "fifo", "random forest, every trial to its end; Egele et al., arXiv 2207.00479")
ASHA = Recipe("random", "asha", "asynchronous successive halving; Li et al., arXiv 1810.05934")
HYPERBAND = Recipe("random", "hyperband", "brackets of successive halving; Li et al., arXiv 1603.06560")
BOHB = Recipe("kde", "hyperband", "Hyperband with density estimates; Falkner et al., arXiv 1807.01774")
ABOHB = Recipe("gp", "asha", "Gaussian process over configuration and step; Klein et al., arXiv 2003.10865")
PBT = Recipe("random", "pbt", "population based training; Jaderberg et al., arXiv 1711.09846")
