"""What train.py, score.py and score_batch.py import. Nobody needs to edit it: `aml update` brings it up to date."""
