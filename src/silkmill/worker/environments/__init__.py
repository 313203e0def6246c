"""The environments of this node: built once, shared by all versions that ask for the same."""
