"""What a teacher reads about a class: the report on an assignment."""
