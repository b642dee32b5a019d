"""The Gaussian process itself: kernels, likelihood and posterior."""
