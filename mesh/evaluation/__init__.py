"""How good recall is, measured on questions whose answers are known."""
