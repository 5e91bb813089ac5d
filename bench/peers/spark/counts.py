"""Kafka to PostgreSQL in Spark Structured Streaming: the shipped definition's SQL in Spark's words, in foreachBatch, by JDBC.

The environment has KAFKA (host:port), TOPIC, JDBC (a URL with user and password), ROWS (all or none), BATCH (offsets of a micro-batch) and
WRITTEN: "commonly" keeps the micro-batch for what is written of it, as Spark's guide shows it, with JDBC as it is by default; "for speed" keeps
the cleaned rows, and has each JDBC statement carry many rows.
It prints a line of JSON: records and seconds of the whole run, from the start of the query, and of each micro-batch.
"""
import json
import os
import time

from pyspark.sql import SparkSession

PIN = """index BIGINT, unique_id STRING, title STRING, description STRING, poster_name STRING, follower_count STRING, tag_list STRING,
is_image_or_video STRING, image_src STRING, downloaded INT, save_location STRING, category STRING"""

POSTS = r"""
SELECT
    index,
    unique_id,
    CASE WHEN title NOT IN ('', 'No Title Data Available') THEN title END AS title,
    CASE WHEN description NOT IN ('', 'No description available', 'No description available Story format', 'Untitled')
         THEN description END AS description,
    CASE WHEN poster_name NOT IN ('', 'User Info Error') THEN poster_name END AS poster_name,
    CASE WHEN follower_count RLIKE '^[0-9]{1,9}[kMB]?$'
         THEN CAST(rtrim('kMB', follower_count) AS BIGINT)
              * CASE right(follower_count, 1) WHEN 'k' THEN 1000 WHEN 'M' THEN 1000000 WHEN 'B' THEN 1000000000 ELSE 1 END
         WHEN follower_count RLIKE '^[0-9]{1,19}$'
         THEN TRY_CAST(follower_count AS BIGINT)
         WHEN follower_count RLIKE '^([0-9]{1,16}([.][0-9]{1,3})?k|[0-9]{1,13}([.][0-9]{1,6})?M|[0-9]{1,10}([.][0-9]{1,9})?B)$'
         THEN TRY_CAST(CAST(left(follower_count, length(follower_count) - 1) AS DECIMAL(28, 9))
                       * CASE right(follower_count, 1) WHEN 'k' THEN 1000 WHEN 'M' THEN 1000000 ELSE 1000000000 END AS BIGINT)
    END AS follower_count,
    coalesce(split(CASE WHEN tag_list NOT IN ('', 'N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e') THEN tag_list END, ','), array()) AS tags,
    CASE is_image_or_video WHEN 'image' THEN 'image'
                           WHEN 'video' THEN 'video'
                           WHEN 'multi-video(story page format)' THEN 'video' END AS media,
    is_image_or_video = 'multi-video(story page format)' AS is_story,
    CASE WHEN image_src <> 'Image src error.' THEN image_src END AS image_src,
    downloaded = 1 AS downloaded,
    CASE WHEN startswith(save_location, 'Local save in ') THEN substr(save_location, 15) ELSE save_location END AS save_path,
    category,
    _timestamp AS posted_at,
    _partition,
    _offset
FROM pin
"""

# What can be added over micro-batches, as Pinflow keeps it: an average is a sum and a count, a count of different values is the values.
METRICS = {
    "category_per_half_hour": """
        SELECT window(posted_at, '30 minutes').start AS window_start, category, count(*) AS posts,
               sum(CAST(follower_count AS DECIMAL(38, 0))) AS followers, count(follower_count) AS known, max(follower_count) AS max_follower_count
        FROM posts GROUP BY 1, 2""",
    "category_popularity": """
        SELECT category, count(*) AS number_of_records, count(*) FILTER (WHERE media = 'image') AS number_of_images,
               count(*) FILTER (WHERE media = 'video') AS number_of_videos, sum(CAST(follower_count AS DECIMAL(38, 0))) AS followers,
               count(follower_count) AS known, max(follower_count) AS max_follower_count, count(*) FILTER (WHERE downloaded) AS number_downloaded
        FROM posts GROUP BY category""",
    "distinct_posters": "SELECT DISTINCT window(posted_at, '10 seconds').start AS window_start, poster_name FROM posts WHERE poster_name IS NOT NULL",
    "media_share": "SELECT media, is_story, count(*) AS posts FROM posts GROUP BY media, is_story",
    "popular_tags": "SELECT tag, count(*) AS posts FROM posts LATERAL VIEW explode(tags) AS tag GROUP BY tag",
    "posts_per_window": """
        SELECT window(posted_at, '5 minutes').start AS window_start, count(*) AS total_items, count(*) FILTER (WHERE media = 'image') AS images,
               sum(CAST(follower_count AS DECIMAL(38, 0))) AS followers, count(follower_count) AS known
        FROM posts GROUP BY 1""",
    "unknown_followers": """
        SELECT window(posted_at, '1 minute').start AS window_start, count(*) AS posts, count(*) FILTER (WHERE follower_count IS NULL) AS unknown
        FROM posts GROUP BY 1""",
}

spark = SparkSession.builder.config("spark.sql.streaming.numRecentProgressUpdates", 10_000).getOrCreate()
for_speed = os.environ["WRITTEN"] == "for speed"
jdbc = {"url": os.environ["JDBC"], "driver": "org.postgresql.Driver"}
if for_speed:
    jdbc |= {"url": jdbc["url"] + "&reWriteBatchedInserts=true", "batchsize": "10000"}


def write(batch, _):
    batch.createOrReplaceTempView("pin")
    posts = batch.sparkSession.sql(POSTS)
    kept = (posts if for_speed else batch).persist()
    posts.createOrReplaceTempView("posts")
    for name, sql in METRICS.items():
        batch.sparkSession.sql(sql).write.format("jdbc").options(**jdbc, dbtable=name).mode("append").save()
    if os.environ["ROWS"] == "all":
        posts.write.format("jdbc").options(**jdbc, dbtable="posts").mode("append").save()
    kept.unpersist()


pins = (
    spark.readStream.format("kafka")
    .option("kafka.bootstrap.servers", os.environ["KAFKA"])
    .option("subscribe", os.environ["TOPIC"])
    .option("startingOffsets", "earliest")
    .option("maxOffsetsPerTrigger", os.environ["BATCH"])
    .load()
    .selectExpr(f"from_json(CAST(value AS STRING), '{PIN}') AS pin", "timestamp AS _timestamp", "partition AS _partition", "offset AS _offset")
    .where("pin IS NOT NULL")
    .select("pin.*", "_timestamp", "_partition", "_offset")
)
began = time.time()
query = pins.writeStream.foreachBatch(write).trigger(availableNow=True).start()
query.awaitTermination()
seconds = time.time() - began
batches = [[p.numInputRows, p.durationMs["triggerExecution"] / 1000] for p in query.recentProgress if p.numInputRows > 0]
print(json.dumps({"records": sum(rows for rows, _ in batches), "seconds": seconds, "batches": batches}))
