"""Applications that run on actormq: written with its public names, as users' own are."""
