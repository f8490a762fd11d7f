"""The viewer: a local page that shows what a prompt retrieves and what each model makes of it."""
