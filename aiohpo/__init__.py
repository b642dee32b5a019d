"""aiohpo: a masterless, asynchronous hyperparameter optimiser."""
