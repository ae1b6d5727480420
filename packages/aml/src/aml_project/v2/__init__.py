"""Azure ML's second generation: its files in azure_ml/, what they may hold, a job of theirs on this computer."""
