"""The algorithms that come with aiohpo; they register as anyone's plugins do."""
