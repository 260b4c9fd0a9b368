"""keyturn's receiver: secrets of Google Secret Manager that follow their newest version while the service runs."""
