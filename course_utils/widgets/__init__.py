"""Live widgets: one `.py` and one `.js` each, on the small base in `base.py` and `base.js`."""
