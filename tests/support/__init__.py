"""Shared by the tests of several packages: real servers, fresh databases."""
