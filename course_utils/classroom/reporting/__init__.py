"""What a teacher reads about a class: the report on an assignment, and a concept inventory's figures."""
