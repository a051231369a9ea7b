"""Take a memory out of a home for real: for when a secret was pasted.

target   what is to go: a memory's id, or its path if it has none, and the names of blobs that are known to be of it
version  a file, of today or of any time, that is the memory, or a rival of it, or has the very bytes of one
backup   `.backup/<time>-<namespace>/`: the repository as it was, the files that went, and how to bring them back
note     `.locks/purge/<namespace>.json`: a purge that is under way. Whoever comes next carries out the rest

`target` knows versions, `wording` what a message quotes of them, `refusing` when it cannot be done, `building` makes
the repository anew beside the old one, `files` and `indexing` do the same for the folder and the cache, `carrying_out`
has the order, `record` keeps which blobs went, `agreeing` is what a sync asks, `verb` what a person does.
See docs/HISTORY.md.
"""
