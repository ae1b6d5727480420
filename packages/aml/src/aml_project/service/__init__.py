"""What talks to Azure ML: the workspace, runs, models, datasets, environments, clusters, web services."""
