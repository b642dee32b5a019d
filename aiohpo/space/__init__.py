"""Search spaces: parameters, conditions between them, and how configurations become numbers. Pure."""
