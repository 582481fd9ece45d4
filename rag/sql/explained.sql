SELECT ranked.id,
       array(SELECT lexeme FROM term WHERE chunk.tsv @@ quote_literal(lexeme)::tsquery
             ORDER BY weight DESC) AS words
FROM ranked JOIN rag_chunk AS chunk USING (id)
