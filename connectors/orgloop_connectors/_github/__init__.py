"""
The ground of everything that speaks with GitHub: its API, what its things mean as events, and who is asked for.

    api       one conversation: pages, ETags, GraphQL, how much of the rate limit is left
    account   repository, token and address, what is wrong with them, and a look at whether they work
    shapes    reading what GitHub says without trusting its shape
    facts     reviews, comments, closings, … become provenance and payload, the same by webhook and by polling
"""
