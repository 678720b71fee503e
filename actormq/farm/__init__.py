"""A farm: tasks spread over the slots of many nodes, every result counted once."""
