"""One search for hyperparameters, search.yml, and the engines that carry it out."""
