"""The asyncio shell: one worker's tasks, carrying out effects, asking plugins, Ctrl-C."""
