"""Who is there, and where: hints from discovery, names and belief from the mesh."""
