"""Built-in searchers, registered through the same entry points as anyone's."""
