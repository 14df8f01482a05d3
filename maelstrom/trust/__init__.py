"""Who may connect: certificates of one private authority, the role and name in each, and tokens."""
