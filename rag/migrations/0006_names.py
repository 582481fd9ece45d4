"""What names a topic: its keywords and its title, each as the lexemes that a question must have.

A matter between SQL and `rag/sql`, like the text-search column: Django's models do not know it.
"""

from django.db import migrations

CREATE = """
CREATE FUNCTION app.names(language text, keywords text[], title text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_agg(array_to_string(
        tsvector_to_array(to_tsvector(app.configuration(language), name)), ' ') ORDER BY place)
    FROM unnest(keywords || title) WITH ORDINALITY AS given (name, place)
$$;
ALTER TABLE rag_document ADD COLUMN names text[]
    GENERATED ALWAYS AS (app.names(language, keywords, title)) STORED;
"""
DROP = "ALTER TABLE rag_document DROP COLUMN names; DROP FUNCTION app.names;"


class Migration(migrations.Migration):
    dependencies = [("rag", "0005_least_cosine")]
    operations = [migrations.RunSQL(CREATE, DROP)]
