"""A-BOHB: a Gaussian process that learns from unfinished trainings, with asynchronous successive halving."""

from .study import ABOHBStudy

STUDY = ABOHBStudy()
