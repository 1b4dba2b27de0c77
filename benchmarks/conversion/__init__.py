"""What conversion does to accuracy, dynamics and firing, on networks of many kinds."""
