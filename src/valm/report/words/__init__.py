"""What may be said: findings from statistics, numbers as readers meet them."""
