-- Every accepted post, cleaned: placeholders are NULL, follower counts are numbers, tags are a list.
SELECT
    "index",
    unique_id,
    CASE WHEN title NOT IN ('', 'No Title Data Available') THEN title END AS title,
    CASE WHEN description NOT IN ('', 'No description available', 'No description available Story format', 'Untitled')
         THEN description END AS description,
    CASE WHEN poster_name NOT IN ('', 'User Info Error') THEN poster_name END AS poster_name,
    -- 124, 10k, 3M, 1B; then what is longer, and 1.2k with no more decimals than the unit has zeros. All of it is exact.
    CASE WHEN regexp_full_match(follower_count, '[0-9]{1,9}[kMB]?')
         THEN CAST(rtrim(follower_count, 'kMB') AS BIGINT)
              * CASE right(follower_count, 1) WHEN 'k' THEN 1000 WHEN 'M' THEN 1000000 WHEN 'B' THEN 1000000000 ELSE 1 END
         WHEN regexp_full_match(follower_count, '[0-9]{1,19}')
         THEN TRY_CAST(follower_count AS BIGINT)
         WHEN regexp_full_match(follower_count, '[0-9]{1,16}(\.[0-9]{1,3})?k|[0-9]{1,13}(\.[0-9]{1,6})?M|[0-9]{1,10}(\.[0-9]{1,9})?B')
         THEN TRY_CAST(CAST(left(follower_count, -1) AS DECIMAL(28, 9))
                       * CASE right(follower_count, 1) WHEN 'k' THEN 1000 WHEN 'M' THEN 1000000 ELSE 1000000000 END AS BIGINT)
    END AS follower_count,
    coalesce(string_split(CASE WHEN tag_list NOT IN ('', 'N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e') THEN tag_list END, ','), []) AS tags,
    CASE is_image_or_video WHEN 'image' THEN 'image'
                           WHEN 'video' THEN 'video'
                           WHEN 'multi-video(story page format)' THEN 'video' END AS media,
    is_image_or_video = 'multi-video(story page format)' AS is_story,
    CASE WHEN image_src <> 'Image src error.' THEN image_src END AS image_src,
    downloaded = 1 AS downloaded,
    CASE WHEN starts_with(save_location, 'Local save in ') THEN substr(save_location, 15) ELSE save_location END AS save_path,
    category,
    _timestamp AS posted_at,
    _partition,
    _offset
FROM pin
