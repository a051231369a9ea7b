"""The command line: parses, calls the library, prints. Installed as `mesh_cli`."""
