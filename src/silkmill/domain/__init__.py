"""Values and decisions of task execution; standard library only, no clock, no I/O."""
