"""Every instance hears for itself: one subscription per instance, pulled by one elected worker of its container.

`member` is the door. `rules` and `seats` decide, `inbox` applies, `subscriptions` talks to Pub/Sub.
"""
