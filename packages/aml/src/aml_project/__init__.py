"""The engine of an Azure ML project: its verbs, and the same in Python."""
