"""Projects as git repositories: worktrees, kept work, merging, checks, landing."""
