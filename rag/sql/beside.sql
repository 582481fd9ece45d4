-- The sections of a topic, each in the reader's best language that has it; common questions are searched.
SELECT DISTINCT ON (part)
       chunk.id, chunk.topic, chunk.section, chunk.title, chunk.heading, chunk.text, chunk.language,
       chunk.kind, chunk.signed, cited.sources
FROM rag_chunk AS chunk
CROSS JOIN LATERAL (SELECT coalesce(nullif(section, ''), chunk.language || chunk.position) AS part) AS parts
{cited}WHERE live AND kind = 'guidance' AND (signed OR NOT %(signed_only)s)
  AND topic = %(topic)s AND section <> 'questions' AND language = ANY (%(languages)s::text[])
ORDER BY part, array_position(%(languages)s::text[], language::text), chunk.position
LIMIT %(most)s
