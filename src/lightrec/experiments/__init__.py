"""The paper's tables and the project's own, each from one command."""
