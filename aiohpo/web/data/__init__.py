"""What the page is told of a run: what changed, and the data of its pictures."""
