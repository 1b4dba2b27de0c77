"""What jobs leave: numbers, pictures, tables and pages."""
