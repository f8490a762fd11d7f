"""What is asked: tasks, their data, and their texts as tokens."""
