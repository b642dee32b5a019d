"""Built-in surrogates, registered through the same entry points as anyone's."""
