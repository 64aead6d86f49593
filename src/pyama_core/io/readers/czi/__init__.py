"""ZEISS CZI files."""
