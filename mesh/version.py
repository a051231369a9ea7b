"""The one place that holds the version; packaging and the caches read it."""

__version__ = "0.1.0"
