"""A Gaussian process over configuration and step."""
