"""What crosses between parties: records, their check, codecs, and the count of what crossed. No Ray."""
