"""What every process of the engine runs on; knows nothing of tasks."""
