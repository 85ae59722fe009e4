"""The discovery port: announcements, requests and answers, and their limits."""
