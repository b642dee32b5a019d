"""Exploring: a configuration near a good one, for a training that goes on with its weights.

Population based training (Jaderberg et al., arXiv 1711.09846, section 4) explores in two ways,
both done here to each hyperparameter independently:

resample  with probability 0.25, drawn anew from the search space
perturb   otherwise multiplied by 1.2 or 0.8, one as likely as the other

What the paper leaves open follows from the kind of parameter:

Float, log     value * factor: always the same distance on its own scale
Float, linear  value * factor, but a move of at least 2 % of the range, or what stands at 0 could never leave it
Int            as a Float, rounded away from the old value: at least the neighbour
stepped Float  likewise on its levels
Ordinal        the neighbour above or below
Categorical    stays, unless it is resampled

Everything is clipped to the space. Conditions are applied last: a parameter that became active is drawn from the
space, one that became inactive is dropped.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np

from aiohpo.errors import UsageError
from aiohpo.plugin import Config
from aiohpo.space.space import CATEGORICAL, Parameter, Space

RESAMPLE = 0.25  # the paper says "with some probability"; this is Ray Tune's default
PERTURB = 0.2  # "by a factor of 1.2 or 0.8", ibid.
# The least move of a linear Float, in parts of its range times the perturbation: 0.1 * 0.2 is 2 %.
LEAST_BASE = 0.1


class Explorer:
    """Draws neighbours of configurations.

    perturb   p: numbers are multiplied by 1 + p or 1 - p; in (0, 1)
    resample  probability with which a parameter is drawn anew; in [0, 1]
    vary      names of the parameters that may change while a model is trained; None: all. The others are
              inherited like the weights: what gives a network its shape cannot change under way
    """

    def __init__(
        self, perturb: float = PERTURB, resample: float = RESAMPLE, vary: Collection[str] | None = None
    ) -> None:
        self.perturb = perturb
        self.resample = resample
        self.vary = vary

    def neighbour(self, space: Space, config: Config, rng: np.random.Generator) -> Config:
        """Return a configuration near ``config``, which may be it again where little can change.

        Raises ``UsageError`` if ``vary`` names what the space does not have.
        """
        varied = self._varied(space)
        fresh = rng.random((1, space.dim))  # for what is resampled, and for what becomes active
        units = fresh.copy()
        native = np.full((1, space.dim), np.nan)
        moved = []
        for column, name in enumerate(space.names):
            if name not in config:
                continue
            # The same number of draws whatever happens, so that one parameter's fate does not change another's.
            anew, up = rng.random() < self.resample, rng.random() < 0.5
            if name not in varied:
                native[0, column] = space[name].native(config[name])
            elif not anew:
                native[0, column] = self._perturbed(space[name], config[name], 1.0 if up else -1.0)
                moved.append(name)
            else:
                moved.append(name)
        known = ~np.isnan(native)
        units[known] = space.encode_native(native)[known]
        result = space.decode(units)[0]
        # Through the unit encoding a Float moves by an ulp; what did not change stays what it was.
        result.update({name: config[name] for name in result if name in config and name not in moved})
        return result

    def _varied(self, space: Space) -> Collection[str]:
        if self.vary is None:
            return space.names
        unknown = sorted(set(self.vary) - set(space.names))
        if unknown:
            raise UsageError(f"pbt: vary names {unknown[0]!r}; the tunable parameters are {', '.join(space.names)}")
        return self.vary

    def _perturbed(self, parameter: Parameter, value: object, sign: float) -> float:
        """Return the native value one move up (``sign`` 1) or down (-1) from ``value``, clipped."""
        native = float(parameter.native(value))
        if parameter.kind == CATEGORICAL:
            return native
        scale = parameter.scale
        low, high = float(scale.first), float(scale.last)
        if scale.numeric:
            size = abs(native) if scale.log else max(abs(native), LEAST_BASE * (high - low))
            move = sign * self.perturb * size
            if scale.step is not None:  # on levels: the nearest, but never the same one
                levels = max(1, round(abs(move) / scale.step))
                move = math.copysign(levels * scale.step, move)
        else:
            move = sign
        return min(max(native + move, low), high)

    def __repr__(self) -> str:
        varied = "" if self.vary is None else f", vary={sorted(self.vary)}"
        return f"Explorer(perturb={self.perturb:g}, resample={self.resample:g}{varied})"
