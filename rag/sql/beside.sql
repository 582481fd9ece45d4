-- The sections of some topics, each in the reader's best language that has it.
SELECT DISTINCT ON (chunk.topic, part)
       chunk.id, chunk.topic, chunk.section, chunk.title, chunk.heading, chunk.text, chunk.language,
       chunk.kind, chunk.signed, cited.sources
FROM rag_chunk AS chunk
CROSS JOIN LATERAL (SELECT coalesce(nullif(nullif(section, ''), 'questions'), chunk.language || chunk.position) AS part) AS parts
{cited}WHERE live AND kind = 'guidance' AND (signed OR NOT %(signed_only)s)
  AND topic = ANY (%(topics)s::text[]) AND language = ANY (%(languages)s::text[])
ORDER BY chunk.topic, part, array_position(%(languages)s::text[], language::text), chunk.position
LIMIT %(most)s
