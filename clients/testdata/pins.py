"""Random pins, dirty values and all; the same seed gives the same ones."""
import random

CATEGORIES = ["art", "beauty", "diy-and-crafts", "événements", "travel"]
FOLLOWERS = ["0", "124", "10k", "1.2k", "3M", "User Info Error"]
TITLES = ["A lamp", "Ein Wörterbuch", "灯", "No Title Data Available", 'with "quotes" and \\', ""]
MEDIA = ["image", "video", "multi-video(story page format)"]


def pins(seed, count):
    """Yields pins; some keys come again."""
    r = random.Random(seed)
    for _ in range(count):
        index = r.randrange(10 * count)
        category = r.choice(CATEGORIES)
        yield {
            "index": index,
            "unique_id": f"{seed}-{index}",
            "title": r.choice(TITLES),
            "description": r.choice(["No description available", "Some words"]),
            "poster_name": r.choice(["Somebody", "User Info Error"]),
            "follower_count": r.choice(FOLLOWERS),
            "tag_list": r.choice(["a,b", "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e", "b"]),
            "is_image_or_video": r.choice(MEDIA),
            "image_src": r.choice(["Image src error.", "https://images.example/1.jpg"]),
            "downloaded": r.choice([0, 1]),
            "save_location": f"Local save in /data/{category}",
            "category": category,
        }
