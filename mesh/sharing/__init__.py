"""A namespace that is shared through git.

leaves    what a tree has at a path: its mode and the name of its blob
on disk   the tree that the folder was last made from, or committed to. It is HEAD's, but for paths that are *held*:
          what arrived there may not be written, or was edited here in the meantime
note      the commit `refs/mesh/applying` while a branch moves: its tree is what was on disk, its last parent the commit
          to be, the one before that what the branch was. Whoever finds it carries out the rest

`repository` opens, `committing` commits what changed in the folder, `joining` merges, `applying` writes what arrived,
`outgoing` looks at what is to leave (`leaks` says what must not), `syncing` has the order of all that, `settling` the
conflicts. For people who use git there: `hooks` and `hook_texts` put hooks and a merge driver in, `guarding` and
`driving` are what these run. docs/SYNC.md.
"""
