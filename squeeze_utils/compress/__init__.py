"""Making a trained network small."""
