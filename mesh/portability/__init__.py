"""Export and import: memories leave a namespace as a file, and come in from files of many kinds."""
