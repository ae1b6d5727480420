"""A model's pipeline.yml: what it says, and who runs its steps."""
