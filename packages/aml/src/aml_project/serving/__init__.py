"""Deployments of a model, on this computer and in Azure, and what is taken back if they do not answer."""
