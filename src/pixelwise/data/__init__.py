"""Pictures with labels: what lies on disk or is drawn, and the streams that training reads."""
