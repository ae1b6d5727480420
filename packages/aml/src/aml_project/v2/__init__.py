"""Azure ML's second generation: its files, and the way there from the first."""
