"""Authors: a client signs what it writes and answers, and judges who wrote what comes."""
