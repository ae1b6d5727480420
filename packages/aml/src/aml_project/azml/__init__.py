"""What azml and az lack of Azure ML's first generation: `model register`, and repairs."""
