"""How peers keep in step: frames, gossip, membership and transfers. Pure."""
