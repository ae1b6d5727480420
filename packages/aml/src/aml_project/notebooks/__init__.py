"""From a notebook to a script that runs without IPython, from data to outputs/."""
