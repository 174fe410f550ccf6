"""What clients send that train a network together: messages, and the rounds of a server."""
