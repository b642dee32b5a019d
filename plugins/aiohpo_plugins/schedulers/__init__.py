"""Built-in schedulers, registered through the same entry points as anyone's."""
