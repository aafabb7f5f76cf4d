"""The commands of the command line, a file a subject. Each command returns what it will do."""
