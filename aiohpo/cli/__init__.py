"""The ``aiohpo`` command, a file for each subcommand."""
