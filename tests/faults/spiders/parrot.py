"""Writes the bytes of OUT to stdout and those of ERR to stderr, cut where SEED says, in turns."""

import os
import random
import time

chance = random.Random(int(os.environ["SEED"]))
left = {}
for descriptor, name in ((1, "OUT"), (2, "ERR")):
    with open(os.environ[name], "rb") as file:
        left[descriptor] = file.read()
while any(left.values()):
    descriptor = chance.choice([one for one in left if left[one]])
    size = chance.choice((1, 2, 3, 17, 1000, 4096, 65536, 100000))
    written = os.write(descriptor, left[descriptor][:size])
    left[descriptor] = left[descriptor][written:]
    if chance.random() < 0.02:
        time.sleep(0.002)
