"""What became of memories, for a namespace that is a git repository: read, asked, and undone.

A memory is the same one by its id, whatever its path. Who made a change is the memory's `agent` where the commit
brought that name in, else the commit's author. Nothing here moves HEAD, and nothing but `undoing` writes a file.
"""
