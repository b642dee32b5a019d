"""Several models combined, as data: metrics, calibrators, uncertainty, saving and loading."""
