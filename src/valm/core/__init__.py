"""What every phase stands on: atomic files, manifests, digests, seeds, registries, progress."""
