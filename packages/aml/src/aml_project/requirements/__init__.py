"""From lists of packages, and from what code imports, to a model's two conda files."""
