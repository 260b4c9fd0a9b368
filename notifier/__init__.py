"""The other end of a receiver: the command `keyturn`, and the local cloud that it runs."""
