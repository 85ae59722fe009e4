"""`python -m services.discovery`."""

from services.discovery import DirectoryService
from shared.process import main

if __name__ == "__main__":
    main(DirectoryService)
