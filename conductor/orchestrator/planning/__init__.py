"""From a request in plain words to a plan: what is asked, how the answer is read, who is asked next."""
