"""print_pins.py SEED COUNT prints pins as a JSON array."""
import json
import sys

from pins import pins

print(json.dumps(list(pins(sys.argv[1], int(sys.argv[2])))))
