"""Weight sharing: codebooks, and the steps that make and tune them."""
