-- The question's words that are stop words in neither language, each in both stemmings.
WITH french AS (
    SELECT lexeme, unnest(positions) AS position
    FROM unnest(to_tsvector('app.french_unaccent', %(question)s))
), english AS (
    SELECT lexeme, unnest(positions) AS position
    FROM unnest(to_tsvector('app.english_unaccent', %(question)s))
), word AS (
    SELECT min(position) AS position, french.lexeme AS french, english.lexeme AS english
    FROM french JOIN english USING (position)
    WHERE NOT (french.lexeme = ANY (%(ignored)s::text[]))
    GROUP BY french.lexeme, english.lexeme
    ORDER BY 1 LIMIT %(most_words)s
), total AS (
    SELECT greatest(max(chunks), 1)::float8 AS total FROM rag_term WHERE lexeme = ''
), known AS (
    SELECT position, lexeme, 1.0::float8 AS trust, chunks
    FROM (SELECT position, french AS lexeme FROM word UNION SELECT position, english FROM word) forms
    JOIN rag_term USING (lexeme)
), corrected AS (
    -- What no chunk contains is probably misspelt: take the lexemes that look most like it.
    SELECT position, near.lexeme, near.likeness AS trust, near.chunks
    FROM word CROSS JOIN LATERAL (
        SELECT lexeme, chunks, similarity(lexeme, french)::float8 AS likeness
        FROM rag_term
        WHERE lexeme %% french AND length(french) >= 4
        ORDER BY likeness DESC, chunks DESC LIMIT 2
    ) near
    WHERE near.likeness >= %(likeness)s
      AND NOT EXISTS (SELECT 1 FROM known WHERE known.position = word.position)
), term AS (
    SELECT lexeme, min(position) AS position, min(chunks) AS chunks,
           max(trust * ln(1 + (total - least(chunks, total) + 0.5) / (chunks + 0.5))) AS weight
    FROM (SELECT * FROM known UNION ALL SELECT * FROM corrected) found, total
    GROUP BY lexeme
), chosen AS (
    -- Rare words choose the candidates, as many as stay under the cap; all words rank them.
    SELECT string_agg(quote_literal(lexeme), ' | ')::tsquery AS query
    FROM (
        SELECT lexeme, chunks, weight, sum(chunks) OVER (ORDER BY chunks, lexeme) AS upto
        FROM term WHERE weight > 0
    ) ordered
    WHERE upto <= %(cap)s OR upto = chunks
), asked AS (
    -- How much the question asks for: unknown words weigh as much as the rarest word would.
    SELECT sum(coalesce(found.weight, ln(1 + (total + 0.5) / 0.5))) AS weight
    FROM total, word LEFT JOIN LATERAL (
        SELECT max(weight) AS weight FROM term WHERE term.lexeme IN (word.french, word.english)
    ) found ON true
), candidate AS (
    -- Common questions in the reader's languages alone: whole sections exist in both, and one is shown.
    SELECT id, tsv, section = 'questions' AS common FROM rag_chunk
    WHERE live AND (signed OR kind <> 'guidance' OR NOT %(signed_only)s)
      AND (section <> 'questions' OR language = ANY (%(languages)s::text[]))
      AND tsv @@ (SELECT query FROM chosen)
    LIMIT %(cap)s
), matched AS (
    SELECT candidate.id, common,
           sum(term.weight * ts_rank('{0.4, 0.4, 0.6, 1.0}', tsv, quote_literal(lexeme)::tsquery, 1))
               AS score,
           least(1, sum(term.weight) / (SELECT weight FROM asked)) AS coverage
    FROM candidate JOIN term ON tsv @@ quote_literal(lexeme)::tsquery
    GROUP BY candidate.id, common
), lexical AS (
    -- As many of either: a topic has many common questions, which would leave no room for sections.
    (SELECT * FROM matched WHERE NOT common ORDER BY score DESC LIMIT %(depth)s)
    UNION ALL
    (SELECT * FROM matched WHERE common ORDER BY score DESC LIMIT %(depth)s)
), near AS (
    {near}
), fused AS (
    -- Both scores are absolute: the share of the question's weight that the words carry, and how far
    -- the vectors are closer than those of texts that have nothing to do with each other.
    SELECT id, coalesce(coverage, 0) AS coverage, coalesce(cosine, 0) AS cosine,
           %(lexical_weight)s * coalesce(lexical.score / (SELECT weight FROM asked), 0)
           + %(dense_weight)s * greatest(0, coalesce(cosine, 0) - %(least_cosine)s) / (1 - %(least_cosine)s)
               AS relevance
    FROM lexical FULL JOIN near USING (id)
), ranked AS (
    SELECT fused.*,
           relevance
           * CASE WHEN language = ANY (%(languages)s::text[]) THEN 1 ELSE %(other_language)s END
           * (1 + coalesce(%(section_boost)s
                           / array_position(%(sections)s::text[], section::text), 0)) AS score
    FROM fused JOIN rag_chunk USING (id)
)
