"""What forwards between two sockets: a thread each, owned by an actor."""
