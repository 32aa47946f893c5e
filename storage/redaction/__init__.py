"""What must not be stored: rules, finders, and the redactor that everything passes through."""
