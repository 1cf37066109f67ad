"""What the other rooms stand on; it knows nothing of networks."""
