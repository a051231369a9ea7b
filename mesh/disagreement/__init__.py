"""Whether two texts on one subject can hold at once, by a rule that can be explained. Pure; English; no guarantee.

statement  a sentence, a line of a list, or `key: value`; without the reasons that follow it
value      what a statement may be wrong about: a number with its unit, a day, date or time, a name, how often
frame      the words of a statement that are neither values nor mere grammar
scope      words that say where or when it holds: "in staging", "for admins"

Two statements disagree if their frames are the same and one thing differs: the value of the same unit or in the same
place, or an odd number of negations and opposites. Whatever else differs may be another subject or another scope, and
is left in peace; so is what differs in the subject ("server 1", "server 2") and what only happened once. The rule is
made to raise few false alarms, and misses much: docs/SYNC.md has what it finds of labelled pairs.
"""

from .rule import Disagreement, disagreement, says_the_same

__all__ = ["Disagreement", "disagreement", "says_the_same"]
