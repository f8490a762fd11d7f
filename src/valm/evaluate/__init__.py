"""Models meet tasks and controls; scores with intervals come out."""
