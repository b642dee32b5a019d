"""Built-in transports, registered through the same entry points as anyone's."""
