"""What must be in place before a runner is told to start: the files and spec.json."""
