"""What is wrong with pictures, and what a curator decides of them.

Measures give hints and remove nothing; people decide, and decisions are known by the pictures' bytes.
"""
