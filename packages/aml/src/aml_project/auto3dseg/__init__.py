"""MONAI's Auto3DSeg by one file, task.yaml: checked, then run here or on a cluster."""
