"""What train.py, score.py and score_batch.py import. Nobody needs to edit it: `aml update` brings it up to date."""

__version__ = "0.2.0"  # of the template's package that this goes with
