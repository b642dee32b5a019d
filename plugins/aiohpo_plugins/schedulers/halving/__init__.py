"""Successive halving: synchronous, asynchronous and in brackets."""
