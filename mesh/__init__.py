"""Shared memory for AI agents, kept as Markdown files that people can read."""
