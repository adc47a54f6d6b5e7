"""The command line of mugvos: reads arguments, calls `engine`, prints."""
