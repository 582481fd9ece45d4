, named AS (
    -- Topics that the question names: it has all words of one of their keywords, or of their title.
    SELECT DISTINCT ON (topic) topic, keyword,
           least(1, weight * CASE words WHEN 1 THEN 1 ELSE %(phrase)s END / (SELECT weight FROM asked)) AS share
    FROM (SELECT DISTINCT document_id FROM ranked JOIN rag_chunk USING (id)) found
    JOIN rag_document AS document ON document.id = found.document_id
    CROSS JOIN LATERAL unnest(document.names, document.keywords || document.title) AS given (name, keyword)
    CROSS JOIN LATERAL (
        SELECT cardinality(lexemes) AS words, (SELECT sum(term.weight) FROM term WHERE term.lexeme = ANY (lexemes)) AS weight
        FROM string_to_array(name, ' ') AS lexemes
        WHERE lexemes <@ (SELECT array_agg(lexeme) FROM term)
    ) matched
    WHERE document.kind = 'guidance' AND name <> ''
    ORDER BY topic, share DESC
)
SELECT DISTINCT ON (chunk.id)
       chunk.id, chunk.topic, chunk.section, chunk.title, chunk.heading, chunk.text, chunk.language,
       chunk.kind, chunk.signed, chunk.keywords, ranked.score, ranked.relevance, ranked.coverage, ranked.cosine, cited.sources,
       {compared} AS compared, coalesce(named.share, 0) AS named, named.keyword
FROM ranked
JOIN rag_chunk AS hit ON hit.id = ranked.id
-- The same section in the reader's language, where there is one.
LEFT JOIN LATERAL (
    SELECT id FROM rag_chunk
    WHERE live AND topic = hit.topic AND section = hit.section AND section NOT IN ('', 'questions')
      AND language = ANY (%(languages)s::text[]) AND kind = hit.kind AND (signed OR NOT %(signed_only)s)
    ORDER BY array_position(%(languages)s::text[], language::text) LIMIT 1
) sibling ON hit.language <> (%(languages)s::text[])[1]
JOIN rag_chunk AS chunk ON chunk.id = coalesce(sibling.id, hit.id)
LEFT JOIN named ON named.topic = chunk.topic
{cited}ORDER BY chunk.id, ranked.score DESC
