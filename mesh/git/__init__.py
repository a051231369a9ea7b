"""git, as far as Mesh needs it: a repository for a namespace, hardened, and an eye on what others put into it.

`heads` reads what is checked out without git. `running` calls git: no shell, no hooks, no prompts, no surprises from
the environment. `repository` writes objects, trees and commits without a work tree, `objects` reads them, `remotes`
fetches and pushes. `names`, `inspection` and `history` say what of a fetched commit may come in; docs/REMOTES.md has
the rules.
"""

from .heads import head, head_of

__all__ = ["head", "head_of"]
