"""An existing repo becomes a project: which scripts train in it, what it lacks, and what is written into it."""
