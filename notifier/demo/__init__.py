"""`keyturn demo`: a secret is rotated under load on this machine, and every worker is watched as it follows."""
