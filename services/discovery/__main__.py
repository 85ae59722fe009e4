"""`python -m services.discovery`."""

from parley.services.discovery import DirectoryService
from parley.shared.service.process import main

if __name__ == "__main__":
    main(DirectoryService)
