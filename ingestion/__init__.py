"""Loads the company's tables into the warehouse, with dlt."""
