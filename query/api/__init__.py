"""The API over HTTP: routes, checks at the door, answers, problems."""
