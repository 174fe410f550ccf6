"""The studies of the series, a module for each chapter; `STUDIES` maps names to makers."""
