"""One module per fault, or per family of faults."""
