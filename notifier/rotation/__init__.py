"""The notifier's answer to SECRET_ROTATE: a new version that loses nothing, and the end of the old one.

| file | what |
|---|---|
| `state.py`, `steps.py`, `windows.py` | what has been done and what comes next; pure |
| `plan.py` | what the manifest says of one secret's rotation |
| `vault.py`, `google_vault.py` | the port to Secret Manager, and its adapter |
| `rotator.py`, `rotators/` | what makes, applies, tests and revokes credentials: the interface, and those that come |
| `machine.py`, `actions.py`, `ledger.py` | carries the steps out, under a lease, and notes each |
| `bounded.py` | waits for a rotator as long as its lease allows |
| `retirement.py`, `retiring.py` | ends the old versions, when nobody holds them |
| `service.py`, `ticking.py` | the Flask service, and what it does without being asked |
"""
