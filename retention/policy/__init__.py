"""How long each class is kept, and what that means for the stored segments.

In: settings and catalogue. Out: policies and plans. rules.py and plan.py are pure.
"""
