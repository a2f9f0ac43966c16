"""What every stage needs and no stage owns: session, keys, hashing, counts, Delta, errors."""
