"""Virtual time: an event loop whose clock jumps, and a network that fails on purpose."""
