"""Running the user's code: what to run, the trial it sees, and four evaluators that run it.

``coroutine``  ``async def`` objectives on the worker's loop
``thread``     ordinary functions in a thread of the worker's process
``process``    ordinary functions in a persistent process (the default for them)
``command``    any program
"""
