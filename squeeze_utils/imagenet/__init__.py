"""The released network: its file, pictures for it, the names of its classes, judging."""
