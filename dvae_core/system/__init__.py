"""Operating system: files, processes, memory, and a sandbox."""
