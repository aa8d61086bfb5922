"""Shared foundations: validation, tensors, labels, files. Import the modules."""
