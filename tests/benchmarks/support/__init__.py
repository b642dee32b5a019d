"""What the searcher benchmarks share: functions, tasks and the harness that drives searchers."""
