"""What well-kept libraries make of our network: the tables of the sections "At work"."""
