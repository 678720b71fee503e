"""What flows over an actor's own sockets."""
