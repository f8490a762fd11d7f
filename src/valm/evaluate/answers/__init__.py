"""What models say: rows of tokens in, likelihoods out."""
