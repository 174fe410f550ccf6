"""The studies of the series, a module or more for each chapter, and what lists and runs them."""
