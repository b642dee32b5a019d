"""The data that the page receives of a run: what changed, and the data of its charts."""
