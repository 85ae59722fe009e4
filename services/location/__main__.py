"""`python -m services.location`."""

from parley.services.location import LocationService
from parley.shared.service.process import main

if __name__ == "__main__":
    main(LocationService)
