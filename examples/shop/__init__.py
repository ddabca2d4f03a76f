"""A shop: the whole kit in one app. `python dev.py run` serves it."""
