"""A model of very large swarms: workers that share what they know, and a network in formulas."""
