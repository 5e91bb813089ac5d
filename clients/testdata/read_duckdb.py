"""The lake read by DuckDB."""
import duckdb

from lake import CLEAN, METRIC, RAW_FOLDER, answer

answer(
    version=duckdb.__version__,
    raw=duckdb.sql(f"""SELECT category, count(*), sum("index"), sum(_offset) FROM read_json_auto('{RAW_FOLDER}/*/*.json.gz') GROUP BY category""").fetchall(),
    clean=duckdb.sql(f"""SELECT category, count(*), sum(follower_count), sum(len(tags)), count(*) FILTER (media = 'image'), epoch_ms(max(posted_at))
                         FROM read_parquet({CLEAN}) GROUP BY category""").fetchall(),
    metric=duckdb.sql(f"""SELECT category, sum("count"), sum(count_2), sum(sum_follower_count), max(max_follower_count)
                          FROM read_parquet({METRIC}) GROUP BY category""").fetchall(),
)
