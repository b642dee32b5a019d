"""Starting workers and bringing them together."""
