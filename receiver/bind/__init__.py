"""Things that hold a secret for longer than a request, and follow it: pools, clients, and whatever is built from one.

Each module is for one library, which is the module's extra (`keyturn[sqlalchemy]` and so on). `rebuilt` needs none.
"""
