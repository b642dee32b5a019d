"""How peers keep in step: frames, gossip, membership, the overlay, fetching blobs, all timing. Pure."""
