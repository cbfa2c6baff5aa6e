"""`make bench`: every benchmark, one table after the other."""

from bench import correlation

if __name__ == "__main__":
    correlation.main()
