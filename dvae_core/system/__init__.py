"""What the operating system is asked for: files, processes, memory, and a sandbox."""
