"""A Secret Manager, a Pub/Sub and a Logging on loopback, in one process and in memory, for the official clients.

Never for production: nothing is encrypted and everybody on this machine may do everything. `cloud.LocalCloud` starts
all of it. Each behaviour that is not obvious cites where it is known from: [documented], [seen in production by a
third party], [seen in Google's emulator] or [assumed].
"""
