"""ADBO's tuning of a real network over time, in small: many workers, learning curves with their seconds."""

from .study import NetworkStudy

STUDY = NetworkStudy()
