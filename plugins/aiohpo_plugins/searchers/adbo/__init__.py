"""A random forest as surrogate, optimised asynchronously by every worker."""
