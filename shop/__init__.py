"""Database servers on this machine that stand for the company's production databases."""
