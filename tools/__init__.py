"""What makes and checks the series: no notebook imports it."""
