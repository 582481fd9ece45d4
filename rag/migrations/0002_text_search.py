"""Full-text search in French and English without accents.

Each chunk is indexed in its own language; a question is read in both. The generated column is a
matter between SQL and `rag/sql`, so Django's models do not know it.
"""

from django.db import migrations

EXTENSION_SCHEMA = """
SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'unaccent'
"""

CONFIGURATION = """
CREATE TEXT SEARCH CONFIGURATION app.{language}_unaccent (COPY = pg_catalog.{language});
ALTER TEXT SEARCH CONFIGURATION app.{language}_unaccent
    ALTER MAPPING FOR hword, hword_part, word WITH "{schema}".unaccent, {language}_stem;
"""

COLUMN = """
ALTER TABLE rag_chunk ADD COLUMN tsv tsvector NOT NULL GENERATED ALWAYS AS (
    setweight(to_tsvector(app.configuration(language), title || ' ' || heading), 'A')
    || setweight(to_tsvector(app.configuration(language), keywords), 'B')
    || setweight(to_tsvector(app.configuration(language), text), 'D')
) STORED;
CREATE INDEX rag_chunk_tsv ON rag_chunk USING gin (tsv) WHERE live;
CREATE INDEX rag_term_trigrams ON rag_term USING gin (lexeme {schema}.gin_trgm_ops);
"""

FUNCTION = """
CREATE FUNCTION app.configuration(language text) RETURNS regconfig
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE language WHEN 'fr' THEN 'app.french_unaccent'::regconfig
                         ELSE 'app.english_unaccent'::regconfig END
$$;
"""


def create(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(EXTENSION_SCHEMA)
        schema = cursor.fetchone()[0]
        for language in ("french", "english"):
            cursor.execute(CONFIGURATION.format(language=language, schema=schema))
        cursor.execute(FUNCTION)
        cursor.execute(COLUMN.format(schema=schema))


class Migration(migrations.Migration):
    dependencies = [("rag", "0001_initial")]
    operations = [migrations.RunPython(create, migrations.RunPython.noop, elidable=False)]
