"""Training by several processes: who takes part, what they exchange, and what it costs."""
