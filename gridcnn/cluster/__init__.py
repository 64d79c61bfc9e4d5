"""More than one machine: training, folds and answers on the workers of a Ray cluster."""
