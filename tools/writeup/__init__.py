"""`make writeup`: every table and figure of the series in the forms that a report needs."""
