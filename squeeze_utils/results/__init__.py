"""What a notebook shows of records: tables, statistics, figures."""
