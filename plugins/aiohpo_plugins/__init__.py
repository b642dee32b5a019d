"""The algorithms that come with aiohpo; they register like anyone else's plugins."""
