"""What `conductor doctor` looks at, one noun a file: a look gathers facts, a pure function judges them."""
