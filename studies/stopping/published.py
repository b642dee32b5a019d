"""What the paper reports of its search for a network for the Combo benchmark, with 1,920 workers."""

from __future__ import annotations

WORKERS = 1920
UTILISATION = {"fifo": 0.990, "asha": 0.994}  # ADBO, and ADBO with successive halving
