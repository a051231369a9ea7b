"""Find what looks like a secret in a text, before it is shared. No guarantee: a password of plain words passes.

Three sources: `forms` (tokens that their makers gave a form of their own), `library` (the rules of detect-secrets) and
`named` (a random string beside a word such as "password"). docs/SECRETS.md has what they find of a labelled corpus.
What is found is told by its kind, its line and a fingerprint; the secret itself is in no record, error or log.
"""

from .finding import Found, find
from .refusal import ALLOW_KEY, allowed_by, in_file, needed

__all__ = ["ALLOW_KEY", "Found", "allowed_by", "find", "in_file", "needed"]
