"""What the daemon stores: a record of its own for each kind of resource. (pure)"""
