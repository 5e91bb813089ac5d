"""The lake read by Spark."""
from pyspark.sql import SparkSession

from lake import CLEAN, DAYS, MEDIAN, METRIC, RAW_FOLDER, answer

spark = SparkSession.builder.getOrCreate()
spark.read.json(RAW_FOLDER).createOrReplaceTempView("raw")
spark.read.parquet(*CLEAN).createOrReplaceTempView("clean")
spark.read.parquet(*METRIC).createOrReplaceTempView("metric")


def types(files):
    return dict(spark.read.parquet(files[0]).dtypes)


answer(
    version=spark.version,
    raw=spark.sql("SELECT category, count(*), sum(index), sum(_offset) FROM raw GROUP BY category").collect(),
    clean=spark.sql("""SELECT category, count(*), sum(follower_count), sum(size(tags)), count_if(media = 'image'), unix_millis(max(posted_at))
                       FROM clean GROUP BY category""").collect(),
    metric=spark.sql("SELECT category, sum(count), sum(count_2), sum(sum_follower_count), max(max_follower_count) FROM metric GROUP BY category").collect(),
    types={"posts": types(CLEAN), "category_popularity": types(METRIC), "followers_by_category": types(MEDIAN), "category_by_day": types(DAYS)},
)
