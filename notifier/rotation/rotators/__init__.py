"""The rotators that come along; each is an entry point of the group `keyturn.rotators`."""
