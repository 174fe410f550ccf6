"""What every room may use: files, places, scale, checks, the machine, parallel work, timing."""
