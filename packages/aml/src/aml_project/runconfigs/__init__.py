"""The files that say what runs where: read, checked against their schemas, edited in place."""
