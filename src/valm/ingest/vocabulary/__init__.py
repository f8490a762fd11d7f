"""Tokenizers: trained here, CLIP's, or a published model's."""
