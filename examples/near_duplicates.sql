-- Near-duplicates: each row is joined with its nearest neighbours, and pairs below a threshold are kept.
--   build/release/lm_diskann_shell < examples/near_duplicates.sql

-- 1,500 embeddings; every 50th row is a copy of its predecessor with a little noise.
CREATE TABLE articles AS
SELECT id, list_transform(range(24), j -> (hash(original * 100 + j) % 2000) / 1000.0 - 1 + (id - original) * 0.001 * (j % 3))::FLOAT[24] AS embedding
FROM (SELECT i AS id, i - (i % 50 = 0)::INT AS original FROM range(1, 1501) t(i));

CREATE INDEX articles_idx ON articles USING LM_DISKANN (embedding) WITH (metric = 'cosine');

CREATE TABLE duplicates AS
SELECT a.id, b.id AS duplicate_of, b.distance
FROM articles a,
     LATERAL (SELECT n.id, array_cosine_distance(a.embedding, n.embedding) AS distance
              FROM articles n
              ORDER BY array_cosine_distance(a.embedding, n.embedding)
              LIMIT 3) b
WHERE a.id > b.id AND b.distance < 0.001;

SELECT count(*) AS duplicates, max(distance) < 0.001 AS are_near FROM duplicates;

-- The planted ones, and no other.
SELECT CASE WHEN count(*) = 30 AND bool_and(id % 50 = 0 AND duplicate_of = id - 1) THEN 'found all 30'
            ELSE error('expected the 30 planted duplicates, found ' || count(*)) END AS result
FROM duplicates;
