SELECT chunk.id, 1 - (embedding::halfvec({d}) <=> %(vector)s::halfvec({d})) AS cosine
    FROM rag_vector AS vector JOIN rag_chunk AS chunk USING (digest)
    WHERE vector.model = %(model)s AND live AND kind = 'guidance' AND (signed OR NOT %(signed_only)s)
    ORDER BY embedding::halfvec({d}) <=> %(vector)s::halfvec({d})
    LIMIT %(depth)s
