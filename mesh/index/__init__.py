"""The cache of one namespace: derived from its files, and made again whenever it is missing or wrong."""
