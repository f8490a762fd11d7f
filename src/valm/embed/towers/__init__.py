"""The two towers that the study trains: networks, losses, sentences, training."""
