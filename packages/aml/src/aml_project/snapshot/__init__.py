"""What a run would get of a model's folder."""
