"""What GitHub and Azure DevOps run: the files for them, what they are told, what they show."""
