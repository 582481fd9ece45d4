SELECT word.french AS written, found.lexemes, found.weight,
       EXISTS (SELECT 1 FROM known WHERE known.position = word.position) AS known
FROM word LEFT JOIN LATERAL (
    SELECT array_agg(lexeme ORDER BY weight DESC) AS lexemes, max(weight) AS weight
    FROM term WHERE term.position = word.position OR term.lexeme IN (word.french, word.english)
) found ON true
ORDER BY word.position
