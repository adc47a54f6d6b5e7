"""The commands, a file each; main.py knows their names."""
