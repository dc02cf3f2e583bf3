"""Who people are: accounts, claim links, sessions, passwords, bearer tokens. `create_members` makes the app."""
