"""What a packaged network sees in a picture: the input of the picture tower."""
