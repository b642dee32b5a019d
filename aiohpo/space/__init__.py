"""Search spaces: parameters, the conditions between them, and how configurations are encoded."""
