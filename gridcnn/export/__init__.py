"""Export: a trained model in the form of another program, with the same answers."""
