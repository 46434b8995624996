"""Public data sets from those who publish them: fetched, checked, converted."""
