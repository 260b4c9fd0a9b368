"""`keyturn demo --rotation`: a database password rotates under load, by a schedule, and nobody notices."""
