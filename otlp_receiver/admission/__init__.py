"""Who may send, how much, and when: keys, quotas, memory budget, scheduling, bodies that fail.

In: a request's key, size and hash. Out: a lease, or an error with Retry-After.
Imports only `errors` of the receiver.
"""
