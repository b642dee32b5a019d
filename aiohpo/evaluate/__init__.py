"""Running the user's code: the ``Trial`` object, evaluators, checkpoints, metrics.

``coroutine``  ``async def`` objectives on the worker's loop
``thread``     ordinary functions in a thread of the worker's process
``process``    ordinary functions in a persistent process (the default for them)
``command``    any program
"""
