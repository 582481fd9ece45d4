    (SELECT chunk.id, 1 - (embedding::halfvec({d}) <=> %(vector)s::halfvec({d})) AS cosine
    FROM rag_vector AS vector JOIN rag_chunk AS chunk USING (digest)
    WHERE vector.model = %(model)s AND live AND kind = 'guidance' AND section <> 'questions'
      AND (signed OR NOT %(signed_only)s)
    ORDER BY embedding::halfvec({d}) <=> %(vector)s::halfvec({d})
    LIMIT %(depth)s)
    UNION ALL
    -- Few enough to compare all: the index would have to pass over everything else to find them. Those that
    -- words have found are told apart by vectors too.
    (SELECT id, 1 - distance AS cosine
    FROM (
        SELECT id, distance, row_number() OVER (ORDER BY distance) AS place
        FROM (
            SELECT chunk.id, embedding::halfvec({d}) <=> %(vector)s::halfvec({d}) AS distance
            FROM rag_chunk AS chunk JOIN rag_vector AS vector USING (digest)
            WHERE vector.model = %(model)s AND live AND section = 'questions'
              AND language = ANY (%(languages)s::text[]) AND (signed OR NOT %(signed_only)s)
            OFFSET 0
        ) common
    ) placed
    WHERE place <= %(depth)s OR id IN (SELECT id FROM lexical))
