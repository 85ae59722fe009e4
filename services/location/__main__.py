"""`python -m services.location`."""

from services.location import LocationService
from shared.process import main

if __name__ == "__main__":
    main(LocationService)
