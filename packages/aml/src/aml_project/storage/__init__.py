"""From a folder to blob storage: only what is not there yet, whatever is interrupted."""
