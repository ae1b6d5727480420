"""What would fail in Azure ML, found before anything is sent."""
