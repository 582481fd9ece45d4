-- The sources of a chunk's document, in their order.
LEFT JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object(
               'title', s.title, 'publisher', s.publisher, 'year', s.year, 'url', s.url, 'read', c.read
           ) ORDER BY c.position) AS sources
    FROM rag_citation c JOIN rag_source s ON s.id = c.source_id
    WHERE c.document_id = chunk.document_id
) cited ON true
